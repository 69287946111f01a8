/* Random tokens and their hashes. */
#include "check.h"

#include "base/secret.h"

#include <string.h>

static void test_token(void **state)
{
	char a[SECRET_SIZE], b[SECRET_SIZE];

	(void)state;
	secret_token(a);
	secret_token(b);
	assert_int_equal(strlen(a), 64);
	assert_int_equal(strspn(a, "0123456789abcdef"), 64);
	assert_string_not_equal(a, b);
}

/* The examples of FIPS 180. */
static void test_hash(void **state)
{
	char hash[SECRET_SIZE];

	(void)state;
	secret_hash("abc", hash);
	assert_string_equal(
	    hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	secret_hash("", hash);
	assert_string_equal(
	    hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_token),
	    cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
