'use strict'

/** Finds the addon and the helper: they are in a package of its own for each platform. */

const fs = require('node:fs')
const path = require('node:path')

/** The names of the packages that may hold the addon; of two C libraries npm installs one. */
const PACKAGES = {
  linux: [`patcher-linux-${process.arch}-gnu`, `patcher-linux-${process.arch}-musl`],
  darwin: [`patcher-darwin-${process.arch}`],
  win32: [`patcher-win32-${process.arch}`]
}[process.platform] ?? []

function load () {
  const causes = []
  for (const name of PACKAGES) {
    try {
      return { addon: require(name), folder: path.dirname(require.resolve(name)) }
    } catch (cause) {
      causes.push(cause)
    }
  }
  const message = `no addon of the updater for ${process.platform}-${process.arch}: install ${PACKAGES.join(' or ')}`
  throw new AggregateError(causes, message)
}

const { addon, folder } = load()

/**
 * Returns the path of a file outside of an archive of Electron, which the system cannot read.
 * Packagers put programs into a folder beside the archive.
 *
 * @param {string} file
 */
function unpacked (file) {
  return file.replace(`.asar${path.sep}`, `.asar.unpacked${path.sep}`)
}

/** Returns the helper of this package. */
function helper () {
  const file = unpacked(path.join(folder, process.platform === 'win32' ? 'patcher-helper.exe' : 'patcher-helper'))
  return fs.existsSync(file) ? file : undefined
}

module.exports = { addon, helper, unpacked }
