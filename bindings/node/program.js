'use strict'

/** The running program: its file, and the command that starts it again. */

const fs = require('node:fs')

/** Whether this is a packaged program of Electron, whose runtime is the program. */
const isElectron = Boolean(process.versions.electron) && !('defaultApp' in process && process.defaultApp)

/** Returns the file of this program: the runtime of Electron, or the script. */
function program () {
  const script = process.argv[1]
  if (isElectron || script === undefined) return process.execPath
  try {
    // npm starts programs by links in other folders.
    return fs.realpathSync(script)
  } catch {
    return script
  }
}

/** Returns the command that starts this program again. */
function command () {
  return [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
}

module.exports = { program, command }
