#ifndef ATHANORE_BASE_SECRET_H
#define ATHANORE_BASE_SECRET_H

/* 256 bits as hexadecimal digits, and the NUL. */
#define SECRET_SIZE 65

/* A random token. */
void secret_token(char token[SECRET_SIZE]);

/* The SHA-256 of text: what is stored in a token's place. */
void secret_hash(const char *text, char hash[SECRET_SIZE]);

#endif
