/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Parameters: each put_*() appends one to the record and writes its length. */
#ifndef FALCO_DRIVER_PUT_BPF_H
#define FALCO_DRIVER_PUT_BPF_H

#include "maps.bpf.h"

/* Where the next value goes. By its type the compiler takes it to be aligned, and stores whole words; of bytes that it sees
 * declared it would store one after the other. */
INLINE void *value_at(struct fill *f)
{
	return &f->s->data[f->pos & DATA_MASK];
}

INLINE void *len_at(struct fill *f)
{
	return &f->s->data[f->lens & 511];
}

/* Writes without a length: parts of a parameter. */
#define RAW(name, type) \
	INLINE void raw_##name(struct fill *f, type v) \
	{ \
		type *at = value_at(f); \
		*at = v; \
		f->pos += sizeof v; \
	}
RAW(u8, __u8)
RAW(u16, __u16)
RAW(u32, __u32)
RAW(u64, __u64)
#undef RAW

INLINE void put_len(struct fill *f, __u32 len)
{
	__u16 *at = len_at(f);

	*at = len;
	f->lens += 2;
}

INLINE void put_u8(struct fill *f, __u8 v)
{
	raw_u8(f, v);
	put_len(f, 1);
}

INLINE void put_u16(struct fill *f, __u16 v)
{
	raw_u16(f, v);
	put_len(f, 2);
}

INLINE void put_u32(struct fill *f, __u32 v)
{
	raw_u32(f, v);
	put_len(f, 4);
}

INLINE void put_u64(struct fill *f, __u64 v)
{
	raw_u64(f, v);
	put_len(f, 8);
}

INLINE void put_s64(struct fill *f, __s64 v)
{
	put_u64(f, v);
}

INLINE void put_s32(struct fill *f, __s32 v)
{
	put_u32(f, v);
}

INLINE void put_empty(struct fill *f)
{
	put_len(f, 0);
}

/* ------------------------------------------------------------------ texts and bytes */

/* Both: how many bytes it wrote, its NUL too; 0: not readable. An empty text has its NUL. */
INLINE __u32 raw_user_text(struct fill *f, __u64 from, __u32 most)
{
	long n = from ? bpf_probe_read_user_str(&f->s->data[f->pos & DATA_MASK], most, (void *)from) : -1;

	if (n < 0)
		return 0;
	if (n == 0) {
		f->s->data[f->pos & DATA_MASK] = 0;
		n = 1;
	}
	f->pos += n;
	return n;
}

INLINE __u32 raw_text(struct fill *f, const void *from, __u32 most)
{
	long n = from ? bpf_probe_read_kernel_str(&f->s->data[f->pos & DATA_MASK], most, from) : -1;

	if (n < 0)
		return 0;
	if (n == 0) {
		f->s->data[f->pos & DATA_MASK] = 0;
		n = 1;
	}
	f->pos += n;
	return n;
}

INLINE void put_user_text(struct fill *f, __u64 from)
{
	put_len(f, raw_user_text(f, from, PATH_SIZE));
}

INLINE void put_text(struct fill *f, const void *from, __u32 most)
{
	put_len(f, raw_text(f, from, most));
}

/* All of it, or nothing. */
INLINE __u32 raw_user_bytes(struct fill *f, __u64 from, __u32 len)
{
	__u64 n = len & DATA_MASK;

	asm volatile("" : "+r"(n));
	n &= DATA_MASK;
	if (!from || bpf_probe_read_user(&f->s->data[f->pos & DATA_MASK], n, (void *)from))
		return 0;
	f->pos += n;
	return n;
}

INLINE void put_user_bytes(struct fill *f, __u64 from, __u32 len)
{
	put_len(f, raw_user_bytes(f, from, len));
}

/* Strings that lie one after the other, as the kernel laid out arguments: the last one ends, wherever it is cut. */
INLINE void put_user_strings(struct fill *f, __u64 from, __u64 len, __u32 most)
{
	__u32 n;

	if (len >= most)
		len = most;
	n = raw_user_bytes(f, from, len);
	if (n)
		f->s->data[(f->pos - 1) & DATA_MASK] = 0;
	put_len(f, n);
}

/* ------------------------------------------------------------------ values of the process's memory */

#define USER(type, from) ({ type v_ = 0; if (bpf_probe_read_user(&v_, sizeof v_, (void *)(unsigned long)(from))) v_ = 0; v_; })

#endif
