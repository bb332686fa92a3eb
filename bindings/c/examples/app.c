// A program in C that keeps itself up to date: bin/app of the component `app`.
#include <patcher.h>
#include <stdio.h>
#include <stdlib.h>

static int stop(patcher_error *error) {
    fprintf(stderr, "no updates: %s\n", patcher_error_message(error));
    patcher_error_free(error);
    return 0; // An error never ends the program.
}

static int update(patcher_app *app) {
    patcher_updates *updates = NULL;
    patcher_staged *staged = NULL;
    patcher_error *error = NULL;
    if (patcher_check(app, NULL, &updates, &error)) return stop(error);
    if (patcher_updates_count(updates) == 0) return patcher_updates_free(updates), 0;
    if (patcher_download(updates, NULL, NULL, NULL, &staged, &error)) return stop(error);
    return patcher_restart(staged, &error) ? stop(error) : 1; // 1: the program must end now
}

int main(int count, char **arguments) {
    patcher_config *config = patcher_config_for_program("app", NULL);
    patcher_config_trusted_key(config, getenv("KEY")); // a program compiles its key in
    patcher_app *app = NULL;
    patcher_error *error = NULL;
    patcher_started event = PATCHER_STARTED_NORMAL;
    if (patcher_app_new(config, &app, &error) || patcher_start(app, &event, NULL, &error)) stop(error);
    patcher_config_free(config);
    if (event != PATCHER_STARTED_HANDED_OVER) {
        printf("%s %s\n", VERSION, event == PATCHER_STARTED_ROLLED_BACK ? "is back" : "runs");
        fflush(stdout);
        if (count > 1 && VERSION[0] == arguments[1][0]) return patcher_app_free(app), 7; // fails its probation
        if (patcher_confirm(app, NULL, &error)) stop(error);
        if (event != PATCHER_STARTED_ROLLED_BACK) update(app);
    }
    patcher_app_free(app);
    return 0;
}
