/**
 * A software updater.
 *
 *     const app = Patcher.forProgram('app', { keys: [KEY] })
 *     await app.start()
 *     runTheProgram()
 *     await app.confirm() // this version works; without this call the old one comes back
 *     await app.update() // downloads a newer release, and restarts as it
 *
 * An error never has to end the program: catch `PatcherError`. All work runs in threads, so that
 * the event loop stays free.
 */

import { EventEmitter } from 'node:events'
import type {
  Applied, CallOptions, CheckOptions, Damage, Deferred, DownloadOptions, Past, Settings, Started, Status, Update,
  WatchEvents, WatchOptions
} from './shapes'

export * from './shapes'

/** One install root with its trusted keys. */
export class Patcher {
  /** Makes a handle, and checks all values. It does not read the installation. */
  constructor (root: string, settings: Settings)
  /** Makes a handle for the installation that this program is part of. */
  static forProgram (component: string, settings: Settings): Patcher
  /** The event since the last start; undefined before `start`. */
  readonly started: Started | undefined
  /**
   * Finishes what an earlier run began, and returns what has happened.
   *
   * If another version must take over, it ends this program.
   */
  start (): Promise<Started>
  /** Confirms that this version works. Returns whether it was on probation. */
  confirm (): Promise<boolean>
  /** Looks for newer releases, by default of all components. */
  check (options?: CheckOptions): Promise<Check>
  /** Finds the release of a component that is not installed, at the URL of its folder. */
  install (component: string, source: string, options?: CallOptions): Promise<Check>
  /** Finds the missing and damaged files of a component. */
  repair (component: string): Promise<Check>
  /** Returns the updates whose download was interrupted, without asking a server. */
  unfinished (): Promise<Check>
  /** Downloads, verifies and stages updates; continues an interrupted download. */
  download (found: Check, options?: DownloadOptions): Promise<Staged>
  /** Returns the updates that an earlier run has downloaded; null without any. */
  staged (): Promise<Staged | null>
  /** Checks, downloads and restarts as the new version; returns if there is none. */
  update (options?: DownloadOptions): Promise<Check>
  /** Ends this program; the helper returns to the version before. */
  rollback (): Promise<never>
  /** Starts a thread that checks periodically. If it cannot start, the watcher emits `error`. */
  watch (options?: WatchOptions): Watcher
  /** Pauses downloads, also those of other processes. */
  pause (): Promise<void>
  /** Allows downloads again. */
  resume (): Promise<void>
  /** Records whether the user agrees to be counted once a week; ask the user first. */
  allowAdoptionCount (allowed: boolean): Promise<void>
  /** Skips a version of a component. */
  skip (component: string, version: string): Promise<void>
  /** Removes a component. Returns the files that the user has changed, which stay. */
  remove (component: string): Promise<string[]>
  /** Returns the damaged files of a component. */
  verify (component: string): Promise<Damage[]>
  /** Returns what is installed, staged and in progress. */
  status (): Promise<Status>
  /** Returns past updates, the newest first. */
  history (): Promise<Past[]>
}

/** The result of a check: updates, and newer releases that are not offered now. */
export class Check {
  #private
  private constructor ()
  readonly updates: Update[]
  readonly deferred: Deferred[]
}

/** Updates that are completely downloaded. One swap installs all of them or none. */
export class Staged {
  #private
  private constructor ()
  readonly updates: Update[]
  /**
   * Ends this program; the helper swaps, and starts the new version.
   *
   * In a terminal on Unix, and in the main process of a systemd service, the new version takes the
   * place of this process.
   */
  restart (): Promise<never>
  /** Lets the helper swap when this program has ended, and start the new version. */
  handOver (): Promise<void>
  /** Lets the helper swap when this program has ended. */
  applyOnExit (): Promise<void>
  /** Swaps now, for components that this program does not run from. */
  apply (): Promise<Applied>
}

/**
 * A thread that checks periodically. It does not keep the process alive.
 *
 * It continues after an error, also if `error` has no listener.
 */
export class Watcher extends EventEmitter<WatchEvents> {
  private constructor ()
  /** Lets the watcher check at once. */
  checkNow (): void
  /** Stops the watcher and its download, and waits for its thread. */
  stop (): Promise<void>
}

/** An error of the updater. None has to end the program. */
export class PatcherError extends Error {
  /** The stable code, as docs/reference/errors.md lists it. */
  readonly code: string
  /** The exit code that the command line has for it. */
  readonly exit: number
  /** Whether the same call may succeed later. */
  readonly retryable: boolean
}

/** No person has to act: retry later. */
export class NetworkError extends PatcherError {}
/** The publisher has to act, or an attack was stopped. */
export class RefusedError extends PatcherError {}
/** The user or the administrator has to act. */
export class MachineError extends PatcherError {}
/** The programmer has to act. */
export class CallerError extends PatcherError {}
/** Another updater works, or another instance runs: retry later. */
export class BusyError extends PatcherError {}
/** The user has cancelled or paused it. */
export class CancelledError extends PatcherError {}
