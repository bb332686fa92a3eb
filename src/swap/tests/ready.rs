//! Swaps that were made ready while the program ran: unchanged ones are used, others are checked
//! again.

#![cfg(unix)]

use super::*;

impl SwapScene {
    /// Prepared, with everything staged.
    fn prepared() -> Self {
        let scene = SwapScene::new(JournalState::Prepared);
        for content in ["new a", "y"] {
            scene.write(&format!(".patcher/stage/core/files/{}-0", Sha256::of(content.as_bytes())), content);
        }
        scene
    }

    /// Makes the swap ready, calls `meanwhile`, and carries the swap out.
    ///
    /// Returns `true` if the swap has used the first backups, which this function marks.
    fn swap_after(&self, meanwhile: impl FnOnce(&Self)) -> Result<bool> {
        let ready = make_ready(&self.root, &self.lock())?;
        assert!(ready.is_some());
        self.write(".patcher/txn/core/mark", "");
        meanwhile(self);
        assert!(make_live(&self.root, &self.lock(), ready)?.is_some());
        assert_eq!(fs::read_to_string(self.path("core/a")).unwrap(), "new a");
        Ok(self.path(".patcher/txn/core/mark").exists())
    }
}

#[test]
fn what_nobody_has_touched_is_not_read_again() {
    assert!(SwapScene::prepared().swap_after(|_| {}).unwrap());
}

#[test]
fn what_was_touched_is_read_again_and_may_be_as_it_was() {
    let touch: [fn(&SwapScene); 4] = [
        |scene| scene.write("core/a", "old a"),
        |scene| fs::hard_link(scene.path("core/old/x"), scene.path("core/mine")).unwrap(),
        |scene| scene.write(&format!(".patcher/stage/core/files/{}-0", Sha256::of(b"y")), "y"),
        |scene| drop(make_ready(&scene.root, &scene.lock())),
    ];
    for (number, touch) in touch.into_iter().enumerate() {
        assert!(!SwapScene::prepared().swap_after(touch).unwrap(), "{number}");
    }
}

#[test]
fn what_has_changed_meanwhile_keeps_everything_old() {
    let changes: [fn(&SwapScene); 4] = [
        |scene| scene.write("core/a", "mine!"),
        |scene| fs::remove_file(scene.path("core/old/x")).unwrap(),
        |scene| scene.write("core/new/y", "mine"),
        |scene| scene.write(&format!(".patcher/stage/core/files/{}-0", Sha256::of(b"y")), "z"),
    ];
    let codes = ["changed", "changed", "changed", "stage-damaged"];
    for (number, (change, code)) in changes.into_iter().zip(codes).enumerate() {
        let scene = SwapScene::prepared();
        assert_eq!(scene.swap_after(change).unwrap_err().code(), code, "{number}");
        assert_ne!(fs::read_to_string(scene.path("core/a")).unwrap(), "new a");
        assert!(!scene.path(".patcher/journal").exists());
    }
}

#[test]
fn another_swap_that_was_prepared_meanwhile_is_the_one_that_is_carried_out() {
    let scene = SwapScene::prepared();
    let ready = make_ready(&scene.root, &scene.lock()).unwrap();
    let mut other = prepared(&state::open_or_create(&scene.root).unwrap()).unwrap().unwrap().transaction;
    other.components[0].steps.remove(0);
    prepare(&scene.root, &scene.lock(), other).unwrap();
    make_live(&scene.root, &scene.lock(), ready).unwrap().unwrap();
    assert_eq!(fs::read_to_string(scene.path("core/a")).unwrap(), "old a");
    assert_eq!(fs::read_to_string(scene.path("core/new/y")).unwrap(), "y");
}

#[test]
fn a_swap_that_somebody_else_has_ended_is_not_carried_out() {
    let scene = SwapScene::prepared();
    let ready = make_ready(&scene.root, &scene.lock()).unwrap();
    assert_eq!(scene.recover().unwrap(), Recovery::Discarded);
    assert_eq!(make_live(&scene.root, &scene.lock(), ready).unwrap(), None);
    assert!(scene.is_old());
}

#[test]
fn what_is_left_of_the_stage_goes_with_the_backups() {
    let scene = SwapScene::prepared();
    scene.write(".patcher/stage/core/manifest.xml", "new manifest");
    make_live(&scene.root, &scene.lock(), None).unwrap().unwrap();
    assert!(!scene.path(".patcher/stage/core").exists());
    confirm(&scene.root).unwrap();
    assert!(!scene.path(".patcher/txn").exists());
}
