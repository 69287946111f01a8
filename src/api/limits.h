#ifndef ATHANORE_API_LIMITS_H
#define ATHANORE_API_LIMITS_H

/* What one request may take. Bytes and seconds. */

#define API_MAX_HEAD (16 * 1024) /* request line and headers */
#define API_MAX_TARGET (8 * 1024)
#define API_MAX_BODY (1024 * 1024)
#define API_MAX_INPUT (API_MAX_HEAD + API_MAX_BODY + 64 * 1024) /* read and not yet parsed */

#define API_IDLE_SECONDS 60   /* a kept-alive connection without a request */
#define API_READ_SECONDS 30   /* the whole head and body */
#define API_QUEUE_SECONDS 30  /* an operation of the queue */
#define API_WRITE_SECONDS 120 /* the whole answer */
#define API_DRAIN_SECONDS 5   /* answers under way when the server is closed */

#endif
