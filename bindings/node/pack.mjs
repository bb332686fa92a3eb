// Makes the npm packages: node pack.mjs FOLDER [PLATFORM ADDON HELPER]...
//
// PLATFORM names a system, an architecture and, on Linux, a C library: `linux-x64-gnu`. The main
// package gets one optional package for each platform. npm installs the one that fits, and runs no
// script. The same input gives the same bytes.
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const main = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'))
const [folder, ...inputs] = process.argv.slice(2)
const target = resolve(folder)
const work = mkdtempSync(join(tmpdir(), 'patcher-pack-'))

/** Packs files, by their names in the package. */
function pack (manifest, files) {
  const source = join(work, manifest.name)
  mkdirSync(source)
  writeFileSync(join(source, 'package.json'), JSON.stringify(manifest, null, 2) + '\n')
  for (const [name, { file, mode }] of Object.entries(files)) {
    copyFileSync(file, join(source, name))
    chmodSync(join(source, name), mode)
  }
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', target], { cwd: source })
}

try {
  mkdirSync(target, { recursive: true })
  const platforms = {}
  while (inputs.length > 0) {
    const [platform, addon, helper] = inputs.splice(0, 3)
    const [os, cpu, libc] = platform.split('-')
    const program = os === 'win32' ? 'patcher-helper.exe' : 'patcher-helper'
    const name = `${main.name}-${platform}`
    pack({
      name,
      version: main.version,
      description: `The addon and the helper of ${main.name} for ${platform}`,
      license: main.license,
      main: 'patcher.node',
      files: ['patcher.node', program],
      engines: main.engines,
      os: [os],
      cpu: [cpu],
      ...(os === 'linux' && { libc: [libc === 'musl' ? 'musl' : 'glibc'] })
    }, { 'patcher.node': { file: addon, mode: 0o644 }, [program]: { file: helper, mode: 0o755 } })
    platforms[name] = main.version
  }
  const files = main.files.map((name) => [name, { file: join(here, name), mode: 0o644 }])
  pack({ ...main, optionalDependencies: platforms }, Object.fromEntries(files))
} finally {
  rmSync(work, { recursive: true })
}
