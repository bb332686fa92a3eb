// The updater as a library for C and C++.
//
// Texts are UTF-8 and end with 0. A function that can fail returns 0, or the exit code that the
// command line has for the error, and then fills `error`, which the caller frees. `error` may be
// NULL. No function keeps a pointer of the caller after it returns, except where it says so.
//
// Generated from bindings/c/src by `PATCHER_BLESS=1 cargo test -p libpatcher`.

#ifndef PATCHER_H
#define PATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The event since the program's last start.
typedef enum patcher_started {
  // Nothing happened.
  PATCHER_STARTED_NORMAL,
  // The program starts for the first time.
  PATCHER_STARTED_FIRST_RUN,
  // A component was updated.
  PATCHER_STARTED_UPDATED,
  // A new version failed, and the version before is back.
  PATCHER_STARTED_ROLLED_BACK,
  // An interrupted swap was undone.
  PATCHER_STARTED_RECOVERED,
  // The program runs without updates.
  PATCHER_STARTED_UPDATES_OFF,
  // The program must end now. The helper starts it again.
  PATCHER_STARTED_HANDED_OVER,
} patcher_started;

// The action of a watcher for the updates that it finds.
typedef enum patcher_watch_action {
  // Report them.
  PATCHER_WATCH_ACTION_NOTIFY,
  // Download them.
  PATCHER_WATCH_ACTION_DOWNLOAD,
  // Download them; the helper swaps when the program has ended.
  PATCHER_WATCH_ACTION_APPLY_ON_EXIT,
} patcher_watch_action;

// An app: one install root with its trusted keys. Any thread may use it.
typedef struct patcher_app patcher_app;

// A running watcher.
typedef struct patcher_watcher patcher_watcher;

// A token that cancels the calls that it is given to. Any thread may use it.
typedef struct patcher_cancel patcher_cancel;

// The configuration of an app. The caller frees it with `patcher_config_free`.
//
// Setters copy their arguments. A wrong value makes `patcher_app_new` fail.
typedef struct patcher_config patcher_config;

// An error. The caller frees it with `patcher_error_free`.
typedef struct patcher_error patcher_error;

// Updates that are completely downloaded.
typedef struct patcher_staged patcher_staged;

// Updates that a check has found, and newer releases that are not offered now.
typedef struct patcher_updates patcher_updates;

// The state of a download at one moment. The path lives as long as the callback runs.
typedef struct patcher_progress {
  // The bytes fetched so far.
  uint64_t bytes_done;
  // The bytes to fetch in all.
  uint64_t bytes_total;
  // The bytes per second; 0 until the rate is known.
  uint64_t rate;
  // The seconds left; -1 until they are known.
  int64_t seconds_left;
  // The file in progress.
  const char *path;
} patcher_progress;

// A function that a download calls in its own thread, with the pointer that the caller gave.
typedef void (*patcher_progress_callback)(const struct patcher_progress *progress, void *user);

// A function that a watcher calls in its own thread, with the pointer that the caller gave.
//
// `json` is one of the events of docs/reference/command-line.md. It lives as long as the callback
// runs.
typedef void (*patcher_event_callback)(const char *json, void *user);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Makes an app and checks its configuration. It does not touch the disk. The caller frees the app
// with `patcher_app_free`.
int32_t patcher_app_new(const struct patcher_config *config,
                        struct patcher_app **app,
                        struct patcher_error **error);

// Frees an app. Updates, staged updates and watchers of it stay. NULL is ignored.
void patcher_app_free(struct patcher_app *app);

// Finishes the work of earlier runs, and holds the running lock until the app is freed. Call it
// first in `main`. After PATCHER_STARTED_HANDED_OVER the program must end.
//
// `details` gets a JSON object that the caller frees with `patcher_text_free`; it may be NULL.
int32_t patcher_start(const struct patcher_app *app,
                      enum patcher_started *event,
                      char **details,
                      struct patcher_error **error);

// Confirms that this version works, which ends its probation. Without this call the helper returns
// to the version before. `was_on_probation` may be NULL.
int32_t patcher_confirm(const struct patcher_app *app,
                        bool *was_on_probation,
                        struct patcher_error **error);

// Looks for newer releases of all components. `cancel` may be NULL. The caller frees the updates
// with `patcher_updates_free`.
int32_t patcher_check(const struct patcher_app *app,
                      const struct patcher_cancel *cancel,
                      struct patcher_updates **updates,
                      struct patcher_error **error);

// Looks for a newer release of one component, as `patcher_check` does.
int32_t patcher_check_component(const struct patcher_app *app,
                                const char *component,
                                const struct patcher_cancel *cancel,
                                struct patcher_updates **updates,
                                struct patcher_error **error);

// Finds the release of a component that is not installed, at the URL of its manifest or folder.
int32_t patcher_install(const struct patcher_app *app,
                        const char *component,
                        const char *from,
                        struct patcher_updates **updates,
                        struct patcher_error **error);

// Finds the missing and damaged files of a component. Without any, `updates` has none.
int32_t patcher_repair(const struct patcher_app *app,
                       const char *component,
                       struct patcher_updates **updates,
                       struct patcher_error **error);

// Returns the updates that an earlier run has downloaded; `staged` gets NULL if there are none.
int32_t patcher_staged_updates(const struct patcher_app *app,
                               struct patcher_staged **staged,
                               struct patcher_error **error);

// Returns the updates whose download an earlier run began. It asks no server.
int32_t patcher_unfinished(const struct patcher_app *app,
                           struct patcher_updates **updates,
                           struct patcher_error **error);

// Lets the helper return to the version before and start it, after this program has ended. The
// program must end after this call. In a terminal on Unix, and in the main process of a
// systemd service, the call does not return.
int32_t patcher_roll_back(const struct patcher_app *app, struct patcher_error **error);

// Finishes or undoes an interrupted swap of another program.
int32_t patcher_recover(const struct patcher_app *app, struct patcher_error **error);

// Pauses downloads, also those of other processes, until `patcher_resume`.
int32_t patcher_pause(const struct patcher_app *app, struct patcher_error **error);

// Allows downloads again. `patcher_unfinished` returns those that were interrupted.
int32_t patcher_resume(const struct patcher_app *app, struct patcher_error **error);

// Records whether the user agrees to be counted once a week; ask the user first.
int32_t patcher_allow_adoption_count(const struct patcher_app *app,
                                     bool allowed,
                                     struct patcher_error **error);

// Skips a version of a component. Critical releases are still offered.
int32_t patcher_skip(const struct patcher_app *app,
                     const char *component,
                     const char *version,
                     struct patcher_error **error);

// Removes a component; files that the user added or changed stay. `json` gets the list of the
// changed ones, which the caller frees with `patcher_text_free`; it may be NULL.
int32_t patcher_remove(const struct patcher_app *app,
                       const char *component,
                       char **json,
                       struct patcher_error **error);

// Compares the files of a component with its manifest. `json` gets the list of damaged files, as
// of the command `verify`. The caller frees it with `patcher_text_free`.
int32_t patcher_verify(const struct patcher_app *app,
                       const char *component,
                       char **json,
                       struct patcher_error **error);

// Returns what is installed, staged and in progress, as the object of the command `status`. The
// caller frees it with `patcher_text_free`.
int32_t patcher_status(const struct patcher_app *app, char **json, struct patcher_error **error);

// Returns past updates, as the list in the object of the command `history`. The caller frees it
// with `patcher_text_free`.
int32_t patcher_history(const struct patcher_app *app, char **json, struct patcher_error **error);

// Makes a token. The caller frees it with `patcher_cancel_free`.
struct patcher_cancel *patcher_cancel_new(void);

// Cancels the calls that have this token, also later ones. NULL is ignored.
void patcher_cancel_now(const struct patcher_cancel *cancel);

// Frees a token. Calls that have it run on. NULL is ignored.
void patcher_cancel_free(struct patcher_cancel *cancel);

// Makes a configuration for the components in a folder.
struct patcher_config *patcher_config_new(const char *install_root);

// Makes a configuration for the installation that a program is part of. The program's file is
// `program`, or with NULL that of this process.
struct patcher_config *patcher_config_for_program(const char *component, const char *program);

// Frees a configuration. Apps that were made with it stay. NULL is ignored.
void patcher_config_free(struct patcher_config *config);

// Adds a trusted public key in PEM; the oldest comes first.
void patcher_config_trusted_key(struct patcher_config *config, const char *pem);

// Sets the channel. Default: "stable".
void patcher_config_channel(struct patcher_config *config, const char *channel);

// Sets the folder of the updater's own files. Default: ".patcher" in the install root.
void patcher_config_state_dir(struct patcher_config *config, const char *dir);

// Sets the site to ask instead of those in the manifests: a URL or a folder.
void patcher_config_site(struct patcher_config *config, const char *url_or_path);

// Sets the path of the helper. Default: "patcher-helper" beside the program.
void patcher_config_helper(struct patcher_config *config, const char *path);

// Sets the program's file, where it is not the one of this process.
void patcher_config_program(struct patcher_config *config, const char *path);

// Sets a proxy for all requests; an empty text means none.
void patcher_config_proxy(struct patcher_config *config, const char *url);

// Sets the hosts that are reached without a proxy, separated by commas.
void patcher_config_no_proxy(struct patcher_config *config, const char *hosts);

// Adds a certificate authority in PEM to those of the system.
void patcher_config_root_certificate(struct patcher_config *config, const char *pem);

// Sets the user agent of requests.
void patcher_config_user_agent(struct patcher_config *config, const char *name);

// Sets the number of trusted keys that must sign a release. Default: 1.
void patcher_config_threshold(struct patcher_config *config, size_t keys);

// Sets the time in which a new version must confirm that it works. Default: 300 s.
void patcher_config_probation(struct patcher_config *config, uint64_t seconds);

// Sets the time limit of a check. Default: 10 s.
void patcher_config_check_timeout(struct patcher_config *config, uint64_t seconds);

// Sets the time without a byte after which a download has stalled. Default: 30 s.
void patcher_config_stall_timeout(struct patcher_config *config, uint64_t seconds);

// Limits the rate of all downloads together.
void patcher_config_rate_limit(struct patcher_config *config, uint64_t bytes_per_second);

// Sets the process that runs the program, where this one only updates for it.
void patcher_config_process(struct patcher_config *config, uint32_t id);

// Sets the folder of a component. Default: the folder of its name in the install root.
void patcher_config_component(struct patcher_config *config, const char *name, const char *dir);

// Adds a header to the requests to the origin of a URL. No message shows its value.
void patcher_config_header(struct patcher_config *config,
                           const char *origin,
                           const char *name,
                           const char *value);

// Sets the command that starts the program again: `count` words. Default: the program's file with
// the arguments of this process.
void patcher_config_command(struct patcher_config *config, const char *const *words, size_t count);

// Sets the languages of release notes, the best first. Default: those of the environment.
void patcher_config_languages(struct patcher_config *config, const char *const *tags, size_t count);

// Returns the text of an error, for people. It lives as long as the error.
const char *patcher_error_message(const struct patcher_error *error);

// Returns the stable code of an error, as docs/reference/errors.md lists it. It lives as long as
// the error. The code "panic" is a defect of the library.
const char *patcher_error_code(const struct patcher_error *error);

// Returns true if the same call may succeed later.
bool patcher_error_is_retryable(const struct patcher_error *error);

// Frees an error. NULL is ignored.
void patcher_error_free(struct patcher_error *error);

// Starts the helper, which swaps when the program has ended, and starts the new version. Frees the
// staged updates.
//
// The program must end after this call. In a terminal on Unix, and in the main process of a
// systemd service, the call does not return: the helper takes the place of the process.
int32_t patcher_restart(struct patcher_staged *staged, struct patcher_error **error);

// Starts the helper, which swaps when the program has ended, and starts nothing. Frees the staged
// updates.
int32_t patcher_apply_on_exit(struct patcher_staged *staged, struct patcher_error **error);

// Swaps now, in this process, for components that the program does not run from. Frees the staged
// updates.
//
// `json` gets what has changed, as of the command `apply`. The caller frees it with
// `patcher_text_free`; it may be NULL.
int32_t patcher_apply(struct patcher_staged *staged, char **json, struct patcher_error **error);

// Frees staged updates, which stay on disk. NULL is ignored.
void patcher_staged_free(struct patcher_staged *staged);

// Frees a text that a function of this library has filled in. NULL is ignored.
void patcher_text_free(char *text);

// Returns the number of updates.
size_t patcher_updates_count(const struct patcher_updates *updates);

// Returns the most bytes that the download of all updates fetches, as if nothing were staged yet.
uint64_t patcher_updates_download_size(const struct patcher_updates *updates);

// Returns versions, notes and deferred releases, as the object of the command `check`. The caller
// frees it with `patcher_text_free`.
int32_t patcher_updates_json(const struct patcher_updates *updates,
                             char **json,
                             struct patcher_error **error);

// Downloads, verifies and stages updates, and frees them, also after an error. It continues a
// download that was interrupted.
//
// `callback` runs in this thread; it may be NULL, as may `cancel`. The caller frees the staged
// updates with `patcher_staged_free`.
int32_t patcher_download(struct patcher_updates *updates,
                         patcher_progress_callback callback,
                         void *user,
                         const struct patcher_cancel *cancel,
                         struct patcher_staged **staged,
                         struct patcher_error **error);

// Frees updates. NULL is ignored.
void patcher_updates_free(struct patcher_updates *updates);

// Starts a watcher; `action` is a `patcher_watch_action`. The first check comes within
// `first_within` seconds, then one in each interval.
//
// `callback` runs in the watcher's thread. It and `user` must live until `patcher_watcher_free`
// has returned, which the callback must not call.
int32_t patcher_watch(const struct patcher_app *app,
                      int32_t action,
                      uint64_t interval,
                      uint64_t first_within,
                      patcher_event_callback callback,
                      void *user,
                      struct patcher_watcher **watcher,
                      struct patcher_error **error);

// Lets a watcher check at once. NULL is ignored.
void patcher_watcher_check_now(const struct patcher_watcher *watcher);

// Stops and frees a watcher, and waits for its thread. NULL is ignored.
void patcher_watcher_free(struct patcher_watcher *watcher);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PATCHER_H */
