/* SPDX-License-Identifier: Apache-2.0 */
/* Variants of the container.* and k8s.* getters, and what other fields need to know of containers. */
#ifndef FALCO_FIELD_CONTAINER_H
#define FALCO_FIELD_CONTAINER_H

#include "field.h"
#include "state.h"

/* Of get_pod_fact: labels that container runtimes give to what runs in a pod. */
enum pod_fact { POD_NAME, POD_NAMESPACE, POD_UID };

/* Of get_container_time. */
enum container_time { CONTAINER_START, CONTAINER_AGE };

/* The container a thread (may be NULL) runs in. NULL: the host, or the rules have nothing to do with containers. */
const struct container *container_of_thread(const struct evt *e, const struct thread *t);
/* Its id; empty: as above. */
struct str thread_container(const struct evt *e, const struct thread *t);
/* On events that bring news of containers: the user that the thread's container was made to run as. Else empty. */
struct str container_event_user(const struct evt *e, const struct thread *t);

#endif
