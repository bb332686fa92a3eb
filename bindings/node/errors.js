'use strict'

/** Errors, grouped by who must act. */

/** An error of the updater. None has to end the program. */
class PatcherError extends Error {
  /**
   * @param {{ code: string, exit: number, retryable: boolean, message: string }} fields
   * @param {ErrorOptions} [options]
   */
  constructor ({ code, exit, retryable, message }, options) {
    super(message, options)
    this.name = new.target.name
    /** The stable code, as docs/reference/errors.md lists it. */
    this.code = code
    /** The exit code that the command line has for it. */
    this.exit = exit
    /** Whether the same call may succeed later. */
    this.retryable = retryable
  }
}

/** No person has to act: retry later. */
class NetworkError extends PatcherError {}
/** The publisher has to act, or an attack was stopped. */
class RefusedError extends PatcherError {}
/** The user or the administrator has to act. */
class MachineError extends PatcherError {}
/** The programmer has to act. */
class CallerError extends PatcherError {}
/** Another updater works, or another instance runs: retry later. */
class BusyError extends PatcherError {}
/** The user has cancelled or paused it. */
class CancelledError extends PatcherError {}

/** The classes by the exit code of the command line. */
const CLASSES = new Map([
  [2, CallerError],
  [20, NetworkError],
  [21, RefusedError],
  [22, MachineError],
  [23, BusyError],
  [24, CancelledError]
])

/**
 * Makes the error of a group.
 *
 * @param {{ code: string, exit: number, retryable: boolean, message: string }} fields
 * @param {ErrorOptions} [options]
 */
function patcherError (fields, options) {
  return new (CLASSES.get(fields.exit) ?? PatcherError)(fields, options)
}

/**
 * Makes the error for one of the addon: its message is JSON, unless an argument has a wrong type.
 *
 * @param {unknown} error
 * @param {AbortSignal} [signal]
 */
function fromAddon (error, signal) {
  const message = error instanceof Error ? error.message : String(error)
  let fields
  try {
    fields = JSON.parse(message)
  } catch {
    fields = { code: 'bad-setting', exit: 2, retryable: false, message }
  }
  return patcherError(fields, signal?.aborted ? { cause: signal.reason } : undefined)
}

module.exports = {
  BusyError,
  CallerError,
  CancelledError,
  MachineError,
  NetworkError,
  PatcherError,
  RefusedError,
  fromAddon,
  patcherError
}
