'use strict'

/** Watchers: event emitters over a thread that checks periodically. */

const { EventEmitter } = require('node:events')
const { fromAddon, patcherError } = require('./errors')

/** The names of the events, which are those of electron-updater where it has them. */
const NAMES = new Map([
  ['checking', 'checking-for-update'],
  ['update-found', 'update-available'],
  ['up-to-date', 'update-not-available'],
  ['progress', 'download-progress'],
  ['staged', 'update-downloaded'],
  ['reminder', 'reminder'],
  ['stale', 'stale']
])

/**
 * A thread that checks periodically. It does not keep the process alive.
 *
 * Listeners get an event of docs/reference/json.schema.json, and those of `error` a `PatcherError`.
 * The watcher goes on after an error, also if no listener takes it.
 */
class Watcher extends EventEmitter {
  #started
  #isStopped = false

  /** @internal */
  constructor (start) {
    super()
    this.#started = start((text) => this.#report(JSON.parse(text)))
    this.#started.catch((error) => this.#fail(fromAddon(error)))
  }

  /** Lets the watcher check at once. */
  checkNow () {
    this.#started.then((native) => native.checkNow(), () => {})
  }

  /** Stops the watcher and its download, and waits for its thread. */
  async stop () {
    this.#isStopped = true
    const native = await this.#started.catch(() => undefined)
    await native?.stop()
  }

  #report (event) {
    if (this.#isStopped) return
    if (event.event === 'failed') {
      this.#fail(patcherError(event))
    } else {
      this.emit(NAMES.get(event.event) ?? event.event, event)
    }
  }

  #fail (error) {
    // Without a listener, Node would end the program.
    if (this.listenerCount('error') > 0) this.emit('error', error)
  }
}

module.exports = { Watcher }
