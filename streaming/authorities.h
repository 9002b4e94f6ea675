/* SPDX-License-Identifier: Apache-2.0 */
/* Where libcurl looks for the certificate authorities that this machine trusts.
 *
 * By itself it reads the machine's whole bundle for each engine before the first handshake, which takes
 * OpenSSL 3 some 25 ms. Of a directory of certificates by their hashes (openssl rehash) OpenSSL reads those
 * that it needs, when it needs them. So where the machine has both, the directory alone is asked first; what
 * it does not vouch for is asked of both, and from then on everything is. Nothing is trusted that would not
 * be otherwise. */
#ifndef FLOE_STREAM_AUTHORITIES_H
#define FLOE_STREAM_AUTHORITIES_H

#include <stdbool.h>

/* Does the directory do? After curl_library_load. Any thread; looks at the directory once, when first asked.
 */
bool authorities_in_directory(void);
/* It did not: from now on authorities_in_directory says no. Any thread. */
void authorities_are_elsewhere(void);

#endif
