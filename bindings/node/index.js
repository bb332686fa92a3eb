'use strict'

/**
 * A software updater.
 *
 *     const app = Patcher.forProgram('app', { keys: [KEY] })
 *     await app.start()
 *     runTheProgram()
 *     await app.confirm() // this version works; without this call the old one comes back
 *     await app.update() // downloads a newer release, and restarts as it
 *
 * An error never has to end the program: catch `PatcherError`.
 */

const { addon, helper } = require('./native')
const { command, program } = require('./program')
const {
  BusyError, CallerError, CancelledError, MachineError, NetworkError, PatcherError, RefusedError, fromAddon
} = require('./errors')
const { Watcher } = require('./watcher')

/** The objects of the addon behind those of this package. */
const natives = new WeakMap()

/** The result of a check: updates, and newer releases that are not offered now. */
class Check {
  constructor (native) {
    natives.set(this, native)
    const { updates, deferred } = JSON.parse(native.json())
    this.updates = updates
    this.deferred = deferred
  }
}

/** Updates that are completely downloaded. One swap installs all of them or none. */
class Staged {
  constructor (native) {
    natives.set(this, native)
    this.updates = JSON.parse(native.json())
  }

  /**
   * Ends this program; the helper swaps, and starts the new version.
   *
   * In a terminal on Unix, and in the main process of a systemd service, the new version takes the
   * place of this process.
   */
  async restart () {
    await this.handOver()
    process.exit(0)
  }

  /** Lets the helper swap when this program has ended, and start the new version. */
  async handOver () {
    await call(() => natives.get(this).handOver())
  }

  /** Lets the helper swap when this program has ended. */
  async applyOnExit () {
    await call(() => natives.get(this).applyOnExit())
  }

  /** Swaps now, for components that this program does not run from. */
  async apply () {
    return JSON.parse(await call(() => natives.get(this).apply()))
  }
}

/** One install root with its trusted keys. */
class Patcher {
  #native

  /** Makes a handle, and checks all values. It does not read the installation. */
  constructor (root, settings) {
    const components = Object.entries(settings.components ?? {}).map(([name, dir]) => ({ name, dir }))
    const given = { program: program(), command: command(), helper: helper(), ...settings, components, root }
    try {
      this.#native = new addon.Handle(given)
    } catch (error) {
      throw fromAddon(error)
    }
    /** The event since the last start; undefined before `start`. */
    this.started = undefined
  }

  /** Makes a handle for the installation that this program is part of. */
  static forProgram (component, settings) {
    return new Patcher(undefined, { ...settings, component })
  }

  /**
   * Finishes what an earlier run began, and returns what has happened.
   *
   * If another version must take over, it ends this program.
   */
  async start () {
    this.started = JSON.parse(await call(() => this.#native.start()))
    if (this.started.started === 'handed-over') process.exit(0)
    return this.started
  }

  /** Confirms that this version works. Returns whether it was on probation. */
  confirm () {
    return call(() => this.#native.confirm())
  }

  /** Looks for newer releases. */
  async check ({ components = [], signal } = {}) {
    return new Check(await cancellable(signal, (token) => this.#native.check(components, token)))
  }

  /** Finds the release of a component that is not installed, at the URL of its folder. */
  async install (component, source, { signal } = {}) {
    return new Check(await cancellable(signal, (token) => this.#native.install(component, source, token)))
  }

  /** Finds the missing and damaged files of a component. */
  async repair (component) {
    return new Check(await call(() => this.#native.repair(component)))
  }

  /** Returns the updates whose download was interrupted, without asking a server. */
  async unfinished () {
    return new Check(await call(() => this.#native.unfinished()))
  }

  /** Downloads, verifies and stages updates; continues an interrupted download. */
  async download (found, { onProgress, signal } = {}) {
    let failure
    let isOver = false
    try {
      const native = await cancellable(signal, (token) => {
        const tell = (text) => {
          if (isOver) return
          try {
            onProgress(JSON.parse(text))
          } catch (error) {
            isOver = true
            failure = { error }
            token.cancel()
          }
        }
        return this.#native.download(natives.get(found), onProgress && tell, token)
      })
      if (failure === undefined) return new Staged(native)
    } catch (error) {
      failure ??= { error }
    } finally {
      isOver = true
    }
    throw failure.error
  }

  /** Returns the updates that an earlier run has downloaded; null without any. */
  async staged () {
    const native = await call(() => this.#native.staged())
    return native && new Staged(native)
  }

  /** Checks, downloads and restarts as the new version; returns if there is none. */
  async update (options) {
    const found = await this.check({ signal: options?.signal })
    if (found.updates.length > 0) await (await this.download(found, options)).restart()
    return found
  }

  /** Ends this program; the helper returns to the version before. */
  async rollback () {
    await call(() => this.#native.rollBack())
    process.exit(0)
  }

  /** Starts a thread that checks periodically. If it cannot start, the watcher emits `error`. */
  watch ({ mode = 'download', interval = 4 * 60 * 60, firstWithin = 60 } = {}) {
    return new Watcher(async (onEvent) => this.#native.watch(onEvent, mode, interval, firstWithin))
  }

  /** Pauses downloads, also those of other processes. */
  async pause () {
    await call(() => this.#native.pause())
  }

  /** Allows downloads again. */
  async resume () {
    await call(() => this.#native.resume())
  }

  /** Records whether the user agrees to be counted once a week; ask the user first. */
  async allowAdoptionCount (allowed) {
    await call(() => this.#native.allowAdoptionCount(allowed))
  }

  /** Skips a version of a component. */
  async skip (component, version) {
    await call(() => this.#native.skip(component, version))
  }

  /** Removes a component. Returns the files that the user has changed, which stay. */
  remove (component) {
    return call(() => this.#native.remove(component))
  }

  /** Returns the damaged files of a component. */
  async verify (component) {
    return JSON.parse(await call(() => this.#native.verify(component)))
  }

  /** Returns what is installed, staged and in progress. */
  async status () {
    return JSON.parse(await call(() => this.#native.status()))
  }

  /** Returns past updates, the newest first. */
  async history () {
    return JSON.parse(await call(() => this.#native.history()))
  }
}

/** Waits for work of the addon, and makes its errors those of this package. */
async function call (work) {
  try {
    return await work()
  } catch (error) {
    throw fromAddon(error)
  }
}

/** Waits for work that a signal cancels. */
async function cancellable (signal, work) {
  const token = new addon.CancelToken()
  const cancel = () => token.cancel()
  if (signal?.aborted) cancel()
  signal?.addEventListener('abort', cancel)
  try {
    return await work(token)
  } catch (error) {
    throw fromAddon(error, signal)
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
}

// Names alone, so that Node finds them for `import`.
module.exports = {
  BusyError,
  CallerError,
  CancelledError,
  Check,
  MachineError,
  NetworkError,
  Patcher,
  PatcherError,
  RefusedError,
  Staged,
  Watcher
}
