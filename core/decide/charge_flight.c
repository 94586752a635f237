/* SPDX-License-Identifier: Apache-2.0
 *
 * Policies that limit how many requests of a key are in flight. Asking looks at the
 * count; a request that is admitted takes a place of each, before it is charged for
 * anything else, and holds it until whoever decided about it says that it is over.
 */
#include "evaluation.h"

/* Nobody knows when a place gets free: soon. */
#define WAIT_US 1000000

bool l7s_ask_flight(l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    uint32_t max = policy->concurrency;

    if (evaluation->is_answered || evaluation->request->owner == 0 ||
        evaluation->flight_count == L7S_FLIGHTS_PER_REQUEST) {
        return false;
    }
    trip->simulated = l7s_trip_is_simulated(evaluation, trip);
    if (!trip->simulated &&
        l7s_flights_count(&evaluation->shared->flights, trip->key, max) < max) {
        evaluation->flights[evaluation->flight_count++] = trip->policy;
        return false;
    }
    trip->wait_us = WAIT_US;
    return l7s_settle_trip(evaluation, trip);
}

/* False: somebody else took the last place, and that refuses the request. */
static bool take(l7s_evaluation_t *evaluation, uint32_t index)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);
    l7s_verdict_t *verdict = evaluation->verdict;
    l7s_trip_t trip;

    if (!l7s_trip_regard(evaluation, index, &trip)) {
        return true;
    }
    switch (l7s_flights_take(&evaluation->shared->flights, trip.key, policy->concurrency,
                             evaluation->request->owner,
                             &verdict->held.places[verdict->held.count])) {
    case L7S_FLIGHT_TAKEN:
        verdict->held.count++;
        return true;
    case L7S_FLIGHT_UNCOUNTED:
        return true;
    default:
        trip.wait_us = WAIT_US;
        return !l7s_settle_trip(evaluation, &trip) ||
               !l7s_outcome_refuses(verdict->outcome);
    }
}

bool l7s_charge_flight(l7s_evaluation_t *evaluation)
{
    for (uint32_t i = 0; i < evaluation->flight_count; i++) {
        if (!take(evaluation, evaluation->flights[i])) {
            return false;
        }
    }
    return true;
}

void l7s_decide_over(const l7s_shared_t *shared, l7s_held_t *held)
{
    while (held->count > 0) {
        l7s_flights_release(&shared->flights, held->places[--held->count], held->owner);
    }
}
