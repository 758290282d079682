/* signals.h - sharing signals with the rest of the process: whose handler runs, and who gets what is not ours. */
#ifndef WAOT_SIGNALS_H
#define WAOT_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

typedef void waot_handler(int signal, siginfo_t *info, void *context);

/* Puts a handler of ours on a signal, remembering the action that was there. Returns 0, or -1 when there is no such signal. */
int waot_signal_own(int signal, waot_handler *handler);
/* Gives a signal back: the default action. Only for one that nobody else has handled. */
void waot_signal_disown(int signal);
/* In a handler of ours: hands the signal to whose turn it is - the handler that was put over ours last, or that was there before; if that one calls ours, the next older
 * one. `ignore_default`: do nothing where the kernel would take its default action. Async-signal-safe. */
void waot_signal_pass_on(int signal, siginfo_t *info, void *context, bool ignore_default);

#endif /* WAOT_SIGNALS_H */
