// A program in C++ that keeps itself up to date: bin/app of the component `app`.
#include <patcher.h>
#include <cstdlib>
#include <iostream>
#include <memory>

// Frees an object of libpatcher at the end of its scope.
template <auto free> struct Deleter {
    template <typename T> void operator()(T *object) const { free(object); }
};
template <typename T, auto free> using Owned = std::unique_ptr<T, Deleter<free>>;
using App = Owned<patcher_app, patcher_app_free>;
using Config = Owned<patcher_config, patcher_config_free>;
using Error = Owned<patcher_error, patcher_error_free>;
using Staged = Owned<patcher_staged, patcher_staged_free>;
using Updates = Owned<patcher_updates, patcher_updates_free>;

// Returns true if a call succeeds. Otherwise prints the error, which never ends the program.
template <typename Call> static bool succeeds(Call call) {
    patcher_error *error = nullptr;
    if (call(&error) == 0) return true;
    std::cerr << "no updates: " << patcher_error_message(error) << '\n';
    Error{error};
    return false;
}

// Downloads a newer version, if there is one. The program must end after it to become that version.
static void update(patcher_app *app) {
    patcher_updates *found = nullptr;
    if (!succeeds([&](auto error) { return patcher_check(app, nullptr, &found, error); })) return;
    Updates updates(found);
    if (patcher_updates_count(updates.get()) == 0) return;
    patcher_staged *downloaded = nullptr;
    const auto download = [&](auto error) {
        return patcher_download(updates.release(), nullptr, nullptr, nullptr, &downloaded, error);
    };
    if (!succeeds(download)) return;
    Staged staged(downloaded);
    succeeds([&](auto error) { return patcher_restart(staged.release(), error); });
}

int main(int count, char **arguments) {
    const Config config(patcher_config_for_program("app", nullptr));
    patcher_config_trusted_key(config.get(), std::getenv("KEY")); // a program compiles its key in
    patcher_app *made = nullptr;
    succeeds([&](auto error) { return patcher_app_new(config.get(), &made, error); });
    const App app(made);
    patcher_started event = PATCHER_STARTED_NORMAL;
    succeeds([&](auto error) { return patcher_start(app.get(), &event, nullptr, error); });
    if (event == PATCHER_STARTED_HANDED_OVER) return 0;
    const bool is_back = event == PATCHER_STARTED_ROLLED_BACK;
    std::cout << VERSION << (is_back ? " is back" : " runs") << std::endl;
    if (count > 1 && VERSION[0] == arguments[1][0]) return 7; // fails its probation
    succeeds([&](auto error) { return patcher_confirm(app.get(), nullptr, error); });
    if (!is_back) update(app.get());
}
