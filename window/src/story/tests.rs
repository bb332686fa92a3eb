//! The story without a window and without a session.

use super::{Choice, FailedRelease, Pause, Story, StoryEffect, StoryEvent, StoryState};
use crate::outcome::WindowOutcome;
use serde_json::{Value, json};

fn update(component: &str, to: &str) -> Value {
    json!({ "component": component, "from": "2.0.0", "to": to, "bytes": 5, "critical": false, "stepping_stone_to": null,
        "notes": {"language": "en", "href": "https://example.com/", "lines": ["# Two", "- fast"]} })
}

fn error(code: &str) -> Value {
    json!({ "code": code, "exit": 20, "message": "it failed", "retryable": true, "hint": null })
}

/// Passes a line to the story.
fn line(story: &mut Story, line: Value) -> Vec<StoryEffect> {
    story.take(StoryEvent::Line(line))
}

fn choose(story: &mut Story, choice: Choice) -> Vec<StoryEffect> {
    story.take(StoryEvent::Chosen(choice))
}

/// Returns a story whose check has found these updates.
fn offered(updates: Value) -> Story {
    let (mut story, effects) = Story::check(vec!["app".to_owned()]);
    let check = json!({"id": 1, "method": "check", "params": {"components": ["app"]}});
    assert_eq!(effects, [StoryEffect::Send(check)]);
    assert!(line(&mut story, json!({"id": 1, "result": {"updates": updates, "deferred": []}})).is_empty());
    story
}

/// Returns a story whose download runs, with the id 2.
fn downloading() -> Story {
    let mut story = offered(json!([update("app", "2.1.0")]));
    let download = json!({"id": 2, "method": "download", "params": {"components": ["app"]}});
    assert_eq!(choose(&mut story, Choice::Install), [StoryEffect::Send(download)]);
    story
}

#[test]
fn an_update_is_offered_downloaded_and_installed() {
    let mut story = downloading();
    let event = json!({"event": "progress", "id": 2, "phase": "downloading", "bytes": 3, "bytes_total": 5, "rate": 1,
        "seconds_left": 2, "path": "x"});
    line(&mut story, event);
    let progress = story.progress();
    assert_eq!((progress.bytes, progress.seconds_left, progress.is_downloading), (3, Some(2), true));
    line(&mut story, json!({"id": 2, "result": {"staged": [update("app", "2.1.0")], "deferred": []}}));
    assert_eq!(story.state(), &StoryState::Ready);
    let versions = json!([{"component": "app", "version": "2.1.0"}]);
    let outcome = WindowOutcome::Restart(versions.clone());
    assert_eq!(choose(&mut story, Choice::RestartNow), [StoryEffect::End(outcome.clone())]);
    assert_eq!(choose(&mut story, Choice::AtExit), [StoryEffect::End(WindowOutcome::AtExit(versions))]);
    assert_eq!(outcome.exit_code(), 12);
}

#[test]
fn without_an_update_the_program_is_up_to_date() {
    let mut story = offered(json!([]));
    assert_eq!(story.state(), &StoryState::UpToDate);
    assert_eq!(choose(&mut story, Choice::Close), [StoryEffect::End(WindowOutcome::UpToDate)]);
}

#[test]
fn all_releases_are_skipped_before_the_window_ends() {
    let mut stone = update("tool", "1.5.0");
    stone["stepping_stone_to"] = json!("3.0.0");
    let mut story = offered(json!([update("app", "2.1.0"), stone]));
    let skip = |id, component, version| {
        let params = json!({"component": component, "version": version});
        StoryEffect::Send(json!({"id": id, "method": "skip", "params": params}))
    };
    assert_eq!(choose(&mut story, Choice::Skip), [skip(2, "app", "2.1.0"), skip(3, "tool", "3.0.0")]);
    assert!(choose(&mut story, Choice::Skip).is_empty());
    assert!(line(&mut story, json!({"id": 2, "result": {}})).is_empty());
    let effects = line(&mut story, json!({"id": 3, "result": {}}));
    assert_eq!(effects, [StoryEffect::End(WindowOutcome::Skipped)]);
}

#[test]
fn a_skip_that_fails_is_shown() {
    let mut story = offered(json!([update("app", "2.1.0")]));
    choose(&mut story, Choice::Skip);
    line(&mut story, json!({"id": 2, "error": error("busy")}));
    assert_eq!(story.state(), &StoryState::Failed(error("busy")));
}

#[test]
fn a_download_pauses_and_resumes() {
    let mut story = downloading();
    let cancel = json!({"id": 3, "method": "cancel", "params": {"id": 2}});
    assert_eq!(choose(&mut story, Choice::Pause), [StoryEffect::Send(cancel)]);
    line(&mut story, json!({"id": 3, "result": {"cancelled": true}}));
    line(&mut story, json!({"id": 2, "error": error("cancelled")}));
    assert_eq!(story.state(), &StoryState::Paused(Pause::Stopped));
    let again = json!({"id": 4, "method": "download", "params": {"components": ["app"]}});
    assert_eq!(choose(&mut story, Choice::Resume), [StoryEffect::Send(again)]);
    assert_eq!(story.state(), &StoryState::Downloading);
}

#[test]
fn a_download_that_has_not_stopped_yet_resumes_when_it_has() {
    let mut story = downloading();
    choose(&mut story, Choice::Pause);
    assert!(choose(&mut story, Choice::Resume).is_empty());
    let effects = line(&mut story, json!({"id": 2, "error": error("cancelled")}));
    assert!(matches!(effects[..], [StoryEffect::Send(_)]), "{effects:?}");
    assert_eq!(story.state(), &StoryState::Downloading);
}

#[test]
fn a_download_that_is_complete_before_it_pauses_is_ready() {
    let mut story = downloading();
    choose(&mut story, Choice::Pause);
    line(&mut story, json!({"id": 2, "result": {"staged": [update("app", "2.1.0")], "deferred": []}}));
    assert_eq!(story.state(), &StoryState::Ready);
}

#[test]
fn a_pause_of_another_program_ends_with_resume() {
    let mut story = downloading();
    line(&mut story, json!({"id": 2, "error": error("paused")}));
    assert_eq!(story.state(), &StoryState::Paused(Pause::Everywhere));
    let resume = json!({"id": 3, "method": "resume", "params": {}});
    assert_eq!(choose(&mut story, Choice::Resume), [StoryEffect::Send(resume)]);
    line(&mut story, json!({"id": 3, "result": {"staged": [update("app", "2.1.0")], "deferred": []}}));
    assert_eq!(story.state(), &StoryState::Ready);
}

#[test]
fn an_error_can_be_retried_and_is_the_result() {
    let mut story = downloading();
    line(&mut story, json!({"id": 2, "error": error("cut-off")}));
    assert_eq!(story.state(), &StoryState::Failed(error("cut-off")));
    assert_eq!(choose(&mut story, Choice::Close), [StoryEffect::End(WindowOutcome::Failed(error("cut-off")))]);
    assert!(matches!(choose(&mut story, Choice::Retry)[..], [StoryEffect::Send(_)]));
    assert_eq!(story.state(), &StoryState::Downloading);
    let (mut story, _) = Story::check(Vec::new());
    line(&mut story, json!({"id": 1, "error": error("unreachable")}));
    let check = json!({"id": 2, "method": "check", "params": {}});
    assert_eq!(choose(&mut story, Choice::Retry), [StoryEffect::Send(check)]);
}

#[test]
fn a_session_that_cannot_begin_is_an_error() {
    let (mut story, _) = Story::check(Vec::new());
    line(&mut story, json!({"error": error("no-key")}));
    assert_eq!(story.state(), &StoryState::Failed(error("no-key")));
    story.take(StoryEvent::SessionEnded("it ended".to_owned()));
    assert_eq!(story.state(), &StoryState::Failed(error("no-key")));
    let (mut story, _) = Story::check(Vec::new());
    story.take(StoryEvent::SessionEnded("it ended".to_owned()));
    let StoryState::Failed(error) = story.state() else { panic!("{story:?}") };
    assert_eq!((&error["exit"], &error["message"]), (&json!(2), &json!("it ended")));
}

#[test]
fn an_update_that_is_ready_needs_no_session() {
    let mut story = downloading();
    line(&mut story, json!({"id": 2, "result": {"staged": [update("app", "2.1.0")], "deferred": []}}));
    story.take(StoryEvent::SessionEnded("it ended".to_owned()));
    assert_eq!(story.state(), &StoryState::Ready);
}

#[test]
fn a_rollback_is_the_newest_one_of_the_history() {
    let (mut story, effects) = Story::after_rollback();
    assert_eq!(effects, [StoryEffect::Send(json!({"id": 1, "method": "history", "params": {}}))]);
    let past = |to, result| json!({"component": "app", "from": "2.0.0", "to": to, "result": result});
    let updates = json!([past("2.2.0", "staged"), past("2.1.0", "rolled-back"), past("2.0.9", "rolled-back")]);
    line(&mut story, json!({"id": 1, "result": {"updates": updates}}));
    let failed = FailedRelease { component: "app".into(), from: "2.0.0".into(), to: "2.1.0".into() };
    assert_eq!(story.state(), &StoryState::RolledBack(failed));
    assert_eq!(choose(&mut story, Choice::Close), [StoryEffect::End(WindowOutcome::Acknowledged)]);
}

#[test]
fn answers_to_older_requests_change_nothing() {
    let mut story = downloading();
    line(&mut story, json!({"id": 1, "result": {"updates": [], "deferred": []}}));
    line(&mut story, json!({"event": "progress", "id": 1, "bytes": 9}));
    assert_eq!((story.state(), story.progress().bytes), (&StoryState::Downloading, 0));
}

#[test]
fn to_close_the_window_is_to_decide_later() {
    for mut story in [offered(json!([update("app", "2.1.0")])), downloading()] {
        assert_eq!(choose(&mut story, Choice::Close), [StoryEffect::End(WindowOutcome::Later)]);
    }
}
