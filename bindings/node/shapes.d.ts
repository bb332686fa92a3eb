/** The objects of calls: results, as docs/reference/json.schema.json describes them, and options. */

import type { PatcherError } from './index'

/** A file of the user in the way of a release, which moves beside its path. */
export interface SavedFile {
  component: string
  path: string
  saved_as: string
}

/** A version of a component. */
export interface Release {
  component: string
  version: string
}

/** A change of a component's version; null: not installed. */
export interface Change {
  component: string
  from: string | null
  to: string | null
}

/** An update that a check has found. */
export interface Update {
  component: string
  /** Null for a first installation. */
  from: string | null
  to: string
  /** The number of files that change. */
  files: number
  /** The most bytes to fetch, as if nothing were staged yet. */
  bytes: number
  type: 'partial' | 'complete'
  critical: boolean
  /** The newest version if `to` is a stepping stone. */
  stepping_stone_to: string | null
  notes: { language: string, href: string | null, lines: string[] } | null
  saved: SavedFile[]
  /** The paths that the release drops but the user has changed; they stay. */
  kept: string[]
}

/** The reason why a newer release is not offered. */
export type DeferralReason =
  | 'rolled-back'
  | 'swap-failed'
  | 'paused'
  | 'not-yet'
  | 'skipped'
  | 'requires'
  | 'policy-version'
  | 'policy-cooldown'
  | 'policy-hours'
  | 'policy-metered'

/** A newer release that is not offered now. */
export interface Deferred {
  component: string
  version: string
  why: DeferralReason
  reason: string | null
}

/** The state of a download. */
export interface Progress {
  event: 'progress'
  phase: 'copying' | 'downloading' | 'patching'
  bytes: number
  bytes_total: number
  /** The bytes per second. */
  rate: number
  seconds_left: number | null
  path: string
}

/** The event since the last start. */
export type Started =
  | { started: 'normal' | 'first-run' | 'recovered' | 'handed-over' }
  | { started: 'updated', component: string, from: string, to: string }
  | { started: 'rolled-back', component: string, from: string, to: string, reason: string }
  | { started: 'updates-off', why: 'not-installed' | 'not-ours' | 'service' | 'no-helper' | 'policy', message: string }

/** The changes of a swap. */
export interface Applied {
  applied: Change[]
  saved: SavedFile[]
}

/** A damaged file. */
export interface Damage {
  path: string
  kind: 'missing' | 'changed' | 'mode'
}

export type UpdateState =
  | 'checking' | 'downloading' | 'paused' | 'staged' | 'pending'
  | 'applying' | 'applied' | 'confirmed' | 'rolled-back' | 'failed'

/** An update in progress. */
export interface UpdateStatus {
  component: string
  type: 'partial' | 'complete'
  from: string | null
  to: string
  sequence: number
  state: UpdateState
  found: string
  staged: string | null
  bytes: number
  bytes_total: number
  error: string | null
}

/** A past update. */
export interface Past {
  component: string
  type: 'partial' | 'complete'
  from: string | null
  to: string
  sequence: number
  found: string | null
  staged: string | null
  installed: string | null
  confirmed: string | null
  rolled_back: string | null
  bytes: number
  seconds: number
  fallbacks: number
  result: UpdateState
  error: string | null
}

/** An installed component. */
export type Installed =
  | { component: string, version: string, sequence: number, channel: string, trusted: boolean }
  | { component: string, error: { code: string, message: string } }

/** Everything that is installed, staged and in progress. */
export interface Status {
  components: Installed[]
  staged: Release[]
  swap: null | 'prepared' | 'interrupted' | 'probation' | 'confirmed'
  /** The changes that a rollback would make. */
  rollback: Change[]
  updates: UpdateStatus[]
  paused: string | null
  adoption: boolean
  damaged_files: string[]
  /** The rules of the administrator; `null` without a policy file. */
  policy: null | { path: string, rules: string[] } | { error: { code: string, message: string } }
}

/** The settings of `Config` in Rust, which describes each of them. */
export interface Settings {
  /** The public halves of the publisher's keys, in PEM. */
  keys: string[]
  /** The component of this program, in whose folder it is. `forProgram` sets it. */
  component?: string
  /** The program's file. Default: the script, or the program that Electron was packaged as. */
  program?: string
  /** The command that starts the program again. Default: that of this process. */
  command?: string[]
  /** The helper. Default: that of this package. */
  helper?: string
  /** Folders of components that lie elsewhere. */
  components?: Record<string, string>
  /** Headers of the requests to an origin. */
  headers?: { origin: string, name: string, value: string }[]
  channel?: string
  /** The address or folder of the site, in place of the one in the release. */
  site?: string
  stateDir?: string
  /** The number of keys that must have signed. */
  threshold?: number
  /** Seconds within which a new version must confirm. */
  probation?: number
  /** Seconds for a check. */
  checkTimeout?: number
  /** Seconds without a byte after which a transfer fails. */
  stallTimeout?: number
  /** Bytes per second. */
  rateLimit?: number
  proxy?: string
  noProxy?: string
  userAgent?: string
  /** The languages of release notes, the best first. */
  languages?: string[]
  /** More root certificates, in PEM. */
  rootCertificates?: string[]
}

/** The options of calls that wait for a network. */
export interface CallOptions {
  /** Cancels the call, which rejects with `CancelledError`. */
  signal?: AbortSignal
}

/** The options of a check. */
export interface CheckOptions extends CallOptions {
  /** Default: all components. */
  components?: string[]
}

/** The options of a download. */
export interface DownloadOptions extends CallOptions {
  /** Called at most 20 times in a second. An exception stops the download. */
  onProgress?: (progress: Progress) => void
}

/** The options of a watcher. */
export interface WatchOptions {
  /** The action for an update. Default: download. */
  mode?: 'notify' | 'download' | 'apply_on_exit'
  /** Seconds between two checks. Default: 4 hours. */
  interval?: number
  /** Seconds within which the first check comes. Default: 60. */
  firstWithin?: number
}

/** The events of a watcher, by the names of electron-updater where it has them. */
export interface WatchEvents {
  'checking-for-update': [{ event: 'checking' }]
  /** Once for each version. */
  'update-available': [{ event: 'update-found', updates: Release[] }]
  'update-not-available': [{ event: 'up-to-date', deferred: Deferred[] }]
  /** At most 20 times in a second. */
  'download-progress': [Progress]
  /** Once for each version. `Patcher.staged` returns the updates. */
  'update-downloaded': [{ event: 'staged', updates: Release[] }]
  /** A service of the administrator has installed a new version: offer a restart. */
  applied: [{ event: 'applied', updates: Release[] }]
  /** The update still waits; once for each check. */
  reminder: [{ event: 'reminder', component: string, version: string, state: UpdateState }]
  /** The publisher must renew the release. */
  stale: [{ event: 'stale', message: string }]
  error: [PatcherError]
}
