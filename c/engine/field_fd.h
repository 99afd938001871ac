/* SPDX-License-Identifier: Apache-2.0 */
/* Variants of the fd.* getters, and words for descriptor records that other fields use too. */
#ifndef FALCO_FIELD_FD_H
#define FALCO_FIELD_FD_H

#include "field.h"
#include "state.h"

/* Which end of a connection. The client is the one that connected; "local" is the client's end if the machine has its
 * address, else the server's. */
enum fd_end { END_CLIENT, END_SERVER, END_LOCAL, END_REMOTE };

/* Of get_fd_bit: bits of enum fd_bits. Of get_fd_dev: */
enum dev_part { DEV_ALL, DEV_MAJOR, DEV_MINOR };

/* Of get_fd_name, get_fd_directory: with the container in front. */
enum { FD_OF_CONTAINER = 1 };

/* The record that fd.* fields speak of; NULL: none known. false: the event has nothing to do with descriptors. */
bool field_fd(const struct evt *e, struct fd_rec **rec);

/* "file", "ipv4" ...; 'f', '4' ... of a record's type. */
const char *fd_type_word(const struct fd_rec *r);
uint8_t fd_type_of_word(const char *word);		/* FD_UNKNOWN: there is no such word */
char fd_type_letter(const struct fd_rec *r);

/* The protocol of an IP socket as far as it shows: without a role only raw ones do. L4_NA: other records. */
enum fd_l4 fd_shown_l4(const struct fd_rec *r);

struct fd_point {
	const uint8_t *ip;		/* 4 or 16 bytes, see fd_is_v4() */
	uint16_t port;
};

/* One end of a socket. false: it has none such, or the roles are not known. */
bool fd_end_of(const struct evt *e, const struct fd_rec *r, enum fd_end end, struct fd_point *p);

#endif
