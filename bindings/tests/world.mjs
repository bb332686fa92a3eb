// The parts of the tests in Node: a publisher, a real server on loopback, and a user. conftest.py
// has the same for Python.
import assert from 'node:assert'
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The folder of the programs of the main workspace. */
const PROGRAMS = process.env.PROGRAMS ?? join(ROOT, 'target/debug')
/** The folder with `node_modules`, where the packages are installed. */
export const PACKAGES = process.env.PACKAGES ?? join(ROOT, 'target/bindings/node')
/** The folder of the compiler of TypeScript. */
export const TOOLS = process.env.TOOLS ?? join(ROOT, 'target/bindings-node')
export const TIMEOUT = 120_000

/** Waits until `look` returns a value. */
export async function waitFor (what, look) {
  const deadline = Date.now() + TIMEOUT
  while (Date.now() < deadline) {
    const found = await look()
    if (found) return found
    await sleep(10)
  }
  throw new Error(`waited in vain for ${what}`)
}

/** Runs a program to its end, and returns its output. */
export function run (command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: TIMEOUT, ...options })
  assert.strictEqual(done.status, 0, `${command} ${args.join(' ')}: ${done.error ?? done.stdout + done.stderr}`)
  return done.stdout
}

/** Returns a port of this machine that is free now. */
function freePort () {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** A publisher with one key, nginx with the publisher's site, and the user's install root. */
export class World {
  folder = mkdtempSync(join(tmpdir(), 'patcher-node-'))
  root = join(this.folder, 'root')
  site = join(this.folder, 'site')

  /** Makes a world, which ends with the test. */
  static async of (test) {
    const world = new World()
    test.after(() => world.stop())
    await world.#begin()
    return world
  }

  async #begin () {
    mkdirSync(this.root)
    mkdirSync(this.site)
    run(join(PROGRAMS, 'manifest-tool'), ['keygen', '--bits', '2048', join(this.folder, 'release')])
    this.key = readFileSync(join(this.folder, 'release.pub.pem'), 'utf8').trim()
    const port = await freePort()
    this.url = `http://127.0.0.1:${port}/`
    const config = join(this.folder, 'nginx.conf')
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${this.folder}/${name};`)
    writeFileSync(config, `pid ${this.folder}/nginx.pid; error_log ${this.folder}/error.log; worker_processes 1;
      events { worker_connections 64; }
      http { access_log off; ${paths.join(' ')} server { listen 127.0.0.1:${port}; root ${this.site}; } }`)
    const user = process.getuid() === 0 ? 'user root; ' : ''
    const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }
    this.server = spawn('nginx', ['-p', this.folder, '-c', config, '-g', `${user}daemon off;`], { env: environment })
    await waitFor('the server', () => existsSync(join(this.folder, 'nginx.pid')))
  }

  async stop () {
    if (this.server?.exitCode === null) {
      const end = new Promise((resolve) => this.server.once('exit', resolve))
      this.server.kill()
      await end
    }
    rmSync(this.folder, { recursive: true })
  }

  /** Publishes a release of the component `app`: paths with contents, or with `copy`: what to copy. */
  publish (version, files) {
    const build = join(this.folder, `build-${version}`)
    for (const [path, content] of Object.entries(files)) {
      const target = join(build, path)
      mkdirSync(dirname(target), { recursive: true })
      if (typeof content === 'string' || Buffer.isBuffer(content)) {
        writeFileSync(target, content)
      } else {
        cpSync(content.copy, target, { recursive: true })
      }
    }
    const key = join(this.folder, 'release.key.pem')
    const url = `${this.url}app/`
    // Without an install object: that of a program of 100 MB takes a minute.
    const options = ['--site', this.site, '--key', key, '--base-url', url, '--no-install-object']
    run(join(PROGRAMS, 'manifest-tool'), ['sign', build, ...options, '--component', 'app', '--version', version])
  }

  /** Runs the command line, and returns its object. */
  patcher (...args) {
    const key = join(this.folder, 'release.pub.pem')
    const all = ['--root', this.root, '--key', key, '--json', ...args]
    return JSON.parse(spawnSync(join(PROGRAMS, 'patcher'), all, { encoding: 'utf8', timeout: TIMEOUT }).stdout)
  }

  install () {
    assert('applied' in this.patcher('install', 'app', '--from', `${this.url}app/`))
  }

  /** Waits until version `version` is installed and confirmed. */
  async confirmed (version) {
    await waitFor(`the confirmation of ${version}`, () => {
      const { components, swap } = this.patcher('status')
      return swap === null && components[0].version === version
    })
  }

  /** Returns what programs have printed that the helper has started. */
  output () {
    return this.#log('output.log')
  }

  helperLog () {
    return this.#log('helper.log')
  }

  #log (name) {
    const log = join(this.root, '.patcher', name)
    return existsSync(log) ? readFileSync(log, 'utf8') : ''
  }
}
