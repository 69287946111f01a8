#ifndef ATHANORE_API_LIMITS_H
#define ATHANORE_API_LIMITS_H

/* What one request may take. Bytes and seconds. */

#define API_MAX_HEAD (16 * 1024) /* request line and headers */
#define API_MAX_TARGET (8 * 1024)
#define API_MAX_BODY (1024 * 1024)
#define API_MAX_INPUT (API_MAX_HEAD + API_MAX_BODY + 64 * 1024) /* read and not yet parsed */

#define API_MAX_STREAM_INPUT 4096	    /* sent by a client that gets a stream */
#define API_STREAM_SEND_BUFFER (128 * 1024) /* of the kernel, for one stream */

#define API_HEARTBEAT_SECONDS 15
#define API_IDLE_SECONDS 60   /* a kept-alive connection without a request */
#define API_READ_SECONDS 30   /* the whole head and body */
#define API_QUEUE_SECONDS 30  /* an operation of the queue */
#define API_WRITE_SECONDS 120 /* the whole answer, or one piece of a stream */
#define API_DRAIN_SECONDS 5   /* answers under way when the server is closed */

#endif
