// The Node package: plain scripts and programs of Electron update themselves.
import assert from 'node:assert'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { PACKAGES, ROOT, TIMEOUT, TOOLS, World, run, waitFor } from './world.mjs'

const MODULES = join(PACKAGES, 'node_modules')
const require = createRequire(join(PACKAGES, 'package.json'))
const { BusyError, CallerError, CancelledError, MachineError, NetworkError, Patcher, PatcherError } = require('patcher')

const PROGRAM = readFileSync(join(ROOT, 'bindings/node/examples/app.mjs'), 'utf8')

/** Returns the example with the publisher's key, as a version. */
function script (world, version) {
  const text = PROGRAM.replace(/-----BEGIN[^]*END PUBLIC KEY-----/, world.key)
  assert(text.includes(world.key))
  return text.replace("VERSION = '1'", `VERSION = '${version}'`)
}

/** Returns the example as Electron runs it: as a script in no module and without arguments. */
function asar (world, version) {
  const packages = 'app.asar.unpacked/node_modules/patcher'
  const body = script(world, version)
    .replace(/^import.*$/m, `const { Patcher } = require('./${packages}')`)
    .replace('process.argv.includes(VERSION)', 'process.env.FAILS === VERSION')
  return `Object.defineProperty(process, 'versions', { value: { ...process.versions, electron: '30.0.0' } });
    (async () => { ${body} })()`
}

/** The files of a version, and the command with its environment that starts the installed one. */
const LAYOUTS = {
  'a script': {
    files: (world, version) => ({ 'app.mjs': script(world, version), node_modules: { copy: MODULES } }),
    command: (world, fails) => [process.execPath, join(world.root, 'app/app.mjs'), fails],
    environment: () => ({})
  },
  // The runtime is the program. Electron runs the file app.asar; here the environment says so.
  'a program of Electron': {
    files: (world, version) => ({
      app: { copy: process.execPath },
      'resources/app.asar': asar(world, version),
      'resources/app.asar.unpacked/node_modules': { copy: MODULES }
    }),
    command: (world) => [join(world.root, 'app/app')],
    environment: (world, fails) => ({
      NODE_OPTIONS: `--require=${world.root}/app/resources/app.asar`,
      FAILS: fails
    })
  }
}

for (const [name, layout] of Object.entries(LAYOUTS)) {
  test(`${name} updates and is rolled back`, async (t) => {
    const world = await World.of(t)
    const start = (fails = '') => {
      const [program, ...rest] = layout.command(world, fails)
      const env = { ...process.env, ...layout.environment(world, fails) }
      return run(program, rest, { cwd: world.folder, env })
    }
    world.publish('1.0.0', layout.files(world, '1'))
    world.install()
    world.publish('2.0.0', layout.files(world, '2'))
    assert.strictEqual(start(), '1 first-run\n')
    await waitFor('version 2', () => world.output().includes('2 updated'))
    await world.confirmed('2.0.0')
    world.publish('3.0.0', layout.files(world, '3'))
    assert.strictEqual(start('3'), '2 normal\n')
    await waitFor('the rollback', () => world.output().includes('2 rolled-back'))
    await world.confirmed('2.0.0')
    assert(world.helperLog().includes('it ended with exit code 7'))
    assert.strictEqual(start(), '2 normal\n')
  })
}

test('in a terminal, the new version takes the place of the process', async (t) => {
  const world = await World.of(t)
  const { files, command } = LAYOUTS['a script']
  world.publish('1.0.0', files(world, '1'))
  world.install()
  world.publish('2.0.0', files(world, '2'))
  const [program, file] = command(world)
  // `script` runs a command in a terminal and prints what the terminal shows.
  const output = run('script', ['-qec', `'${program}' '${file}'`, '/dev/null'], { cwd: world.folder })
  assert.strictEqual(output, '1 first-run\r\n2 updated\r\n')
})

/** Installs version 1 and publishes version 2 with a file that does not compress. */
async function outdated (t, settings) {
  const world = await World.of(t)
  world.publish('1.0.0', { version: '1' })
  world.install()
  world.publish('2.0.0', { version: '2', big: randomBytes(1 << 20) })
  return { world, app: new Patcher(world.root, { keys: [world.key], ...settings }) }
}

test('errors say who must act', async (t) => {
  const { world, app } = await outdated(t)
  const fields = { code: 'no-key', exit: 2, retryable: false, name: 'CallerError' }
  assert.throws(() => new Patcher(world.root, { keys: [] }), fields)
  assert.throws(() => new Patcher(world.root, { keys: 'one' }), CallerError)
  assert.throws(() => new Patcher(world.root, { keys: [world.key], probation: -1 }), { code: 'bad-setting' })
  await assert.rejects(app.skip('app', 'new'), { code: 'bad-setting' })
  await assert.rejects(app.verify('other'), MachineError)
  await assert.rejects(app.rollback(), { code: 'nothing-to-roll-back' })
  const away = new Patcher(world.root, { keys: [world.key], site: 'http://127.0.0.1:9/', checkTimeout: 1 })
  await assert.rejects(away.check(), (error) => {
    return error instanceof NetworkError && error instanceof PatcherError && error.retryable && error.exit === 20
  })
  const found = await app.check()
  const staged = await app.download(found)
  await assert.rejects(app.download(found), { code: 'bad-setting' })
  await staged.apply()
  await assert.rejects(staged.apply(), { code: 'bad-setting' })
})

test('progress arrives while the event loop runs', async (t) => {
  const { app } = await outdated(t, { rateLimit: 1_000_000 })
  let turns = 0
  const other = setInterval(() => turns++, 1)
  const events = []
  const begin = performance.now()
  const staged = await app.download(await app.check(), { onProgress: (event) => events.push(event) })
  const seconds = (performance.now() - begin) / 1000
  clearInterval(other)
  assert(turns > 20)
  assert(events.length >= 1 && events.length <= 20 * seconds + 2, `${events.length} events in ${seconds} s`)
  assert.strictEqual(events[0].event, 'progress')
  const { applied } = await staged.apply()
  assert.deepStrictEqual(applied, [{ component: 'app', from: '1.0.0', to: '2.0.0' }])
  assert.strictEqual((await app.status()).swap, 'probation')
  assert.strictEqual(await app.confirm(), true)
  assert.deepStrictEqual(await app.verify('app'), [])
  assert.strictEqual((await app.history())[0].result, 'confirmed')
})

/**
 * Returns the longest time in ms that the event loop waits during some work, without the time in which
 * other threads have the processors.
 */
async function longestBlock (work) {
  let longest = 0
  let last = { now: performance.now(), queued: 0 }
  const look = () => {
    // Linux counts the nanoseconds that a thread is ready to run and waits for a processor.
    const queued = Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6
    const now = performance.now()
    longest = Math.max(longest, now - last.now - (queued - last.queued))
    last = { now, queued }
  }
  look()
  longest = 0
  const timer = setInterval(look, 1)
  await work()
  look()
  clearInterval(timer)
  return longest
}

test('the event loop never waits for more than 20 ms', async (t) => {
  const { world, app } = await outdated(t)
  const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  assert(await longestBlock(async () => pause()) >= 50)
  // Other virtual machines can only make it longer, so that one update without them is enough.
  let longest
  for (let version = 3; version < 8 && !(longest <= 20); version++) {
    world.publish(`${version}.0.0`, { version: `${version}`, big: randomBytes(8 << 20) })
    let found, staged
    const waits = {
      start: await longestBlock(() => new Patcher(world.root, { keys: [world.key] }) && app.start()),
      check: await longestBlock(async () => { found = await app.check() }),
      download: await longestBlock(async () => { staged = await app.download(found, { onProgress: () => {} }) }),
      swap: await longestBlock(() => staged.apply()),
      confirm: await longestBlock(() => app.confirm())
    }
    t.diagnostic(`longest waits in ms: ${JSON.stringify(waits)}`)
    longest = Math.max(...Object.values(waits))
  }
  assert(longest <= 20)
})

test('a signal and an exception cancel a download', async (t) => {
  const { world, app } = await outdated(t, { rateLimit: 50_000 })
  const stop = new AbortController()
  const options = { onProgress: () => stop.abort('enough'), signal: stop.signal }
  await assert.rejects(app.download(await app.check(), options), (error) => {
    return error instanceof CancelledError && error.code === 'cancelled' && error.cause === 'enough'
  })
  await assert.rejects(app.check({ signal: stop.signal }), CancelledError)
  const mine = new TypeError('mine')
  const onProgress = () => { throw mine }
  await assert.rejects(app.download(await app.check(), { onProgress }), mine)
  const fast = new Patcher(world.root, { keys: [world.key] })
  const staged = await fast.download(await fast.unfinished())
  assert.strictEqual(staged.updates[0].to, '2.0.0')
})

/** Waits for an event, and returns its arguments. */
function event (emitter, name) {
  return once(emitter, name, { signal: AbortSignal.timeout(TIMEOUT) })
}

test('a watcher emits the events of electron-updater', async (t) => {
  const { world, app } = await outdated(t)
  const watcher = app.watch({ firstWithin: 0 })
  const names = []
  for (const name of ['checking-for-update', 'update-available', 'update-not-available', 'error']) {
    watcher.on(name, () => names.push(name))
  }
  let downloaded = 0
  watcher.on('download-progress', (progress) => { downloaded = progress.bytes })
  const [{ updates }] = await event(watcher, 'update-downloaded')
  assert.deepStrictEqual(names, ['checking-for-update', 'update-available'])
  assert(downloaded > 0)
  assert.deepStrictEqual(updates, [{ component: 'app', version: '2.0.0' }])
  const [busy] = await event(app.watch(), 'error')
  assert(busy instanceof BusyError)
  assert.strictEqual((await app.staged()).updates[0].to, '2.0.0')
  await app.allowAdoptionCount(true)
  assert.strictEqual((await app.status()).adoption, true)
  await app.skip('app', '2.0.0')
  watcher.checkNow()
  const [{ deferred }] = await event(watcher, 'update-not-available')
  assert.strictEqual(deferred[0].why, 'skipped')
  await watcher.stop()
  // Without a listener, an error does not end the program.
  const away = new Patcher(world.root, { keys: [world.key], site: 'http://127.0.0.1:9/', stallTimeout: 1 })
  const lonely = away.watch({ firstWithin: 0 })
  let checks = 0
  lonely.on('checking-for-update', () => checks++)
  await waitFor('a second check', () => {
    lonely.checkNow()
    return checks === 2
  })
  await lonely.stop()
})

test('a program that ends lets the helper swap, and a watcher does not keep it running', async (t) => {
  const { world } = await outdated(t)
  const program = join(world.folder, 'program.cjs')
  writeFileSync(program, `
    const { Patcher } = require(${JSON.stringify(join(MODULES, 'patcher'))})
    const app = new Patcher(${JSON.stringify(world.root)}, { keys: [${JSON.stringify(world.key)}] })
    app.watch({ firstWithin: 3600 })
    app.check().then((found) => app.download(found)).then((staged) => staged.applyOnExit())
      .then(() => console.log('ends'))`)
  assert.strictEqual(run(process.execPath, [program]), 'ends\n')
  await waitFor('the swap', () => world.patcher('status').components[0].version === '2.0.0')
})

test('the package finds files outside of an archive of Electron', () => {
  const { unpacked } = require('patcher/native.js')
  const file = '/opt/app/resources/app.asar/node_modules/patcher-linux-x64-gnu/patcher-helper'
  assert.strictEqual(unpacked(file), file.replace('app.asar', 'app.asar.unpacked'))
  assert.strictEqual(unpacked('/opt/my.asars/helper'), '/opt/my.asars/helper')
})

test('programs compile with the types', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'patcher-types-'))
  t.after(() => rmSync(folder, { recursive: true }))
  symlinkSync(MODULES, join(folder, 'node_modules'))
  cpSync(join(ROOT, 'bindings/tests/types.mts'), join(folder, 'types.mts'))
  writeFileSync(join(folder, 'app.mjs'), PROGRAM)
  const types = ['--typeRoots', join(TOOLS, 'node_modules/@types'), '--types', 'node']
  const checks = ['--noEmit', '--strict', '--allowJs', '--checkJs', '--useUnknownInCatchVariables', 'false']
  const options = [...types, ...checks, '--target', 'es2022', '--module', 'nodenext']
  run(join(TOOLS, 'node_modules/.bin/tsc'), [...options, 'types.mts', 'app.mjs'], { cwd: folder })
})

test('the types declare what the package has', () => {
  const text = readFileSync(join(MODULES, 'patcher/index.d.ts'), 'utf8')
  const declared = new Map([...text.matchAll(/^export class (\w+).*?\{(.*?)\}$/gms)].map(([, name, body]) => {
    return [name, [...body.matchAll(/^  (?:static )?(\w+) \(/gm)].map(([, method]) => method)]
  }))
  const classes = require('patcher')
  assert.deepStrictEqual([...declared.keys()].sort(), Object.keys(classes).sort())
  for (const [name, value] of Object.entries(classes)) {
    const inherited = ['length', 'name', 'prototype']
    const methods = [...Object.getOwnPropertyNames(value), ...Object.getOwnPropertyNames(value.prototype)]
    const expected = methods.filter((method) => !inherited.includes(method) && method !== 'constructor')
    assert.deepStrictEqual(declared.get(name).filter((method) => method !== 'constructor').sort(), expected.sort(), name)
  }
})

test('the types declare the fields of the schema', () => {
  const { $defs: schema } = JSON.parse(readFileSync(join(ROOT, 'docs/reference/json.schema.json'), 'utf8'))
  const text = readFileSync(join(MODULES, 'patcher/shapes.d.ts'), 'utf8')
  const progress = schema.event.oneOf.find(({ properties }) => properties.event.const === 'progress')
  const { id, ...withoutId } = progress.properties
  const shapes = {
    SavedFile: schema.saved.properties,
    Release: schema.release.properties,
    Change: schema.change.properties,
    Update: schema.update.properties,
    Deferred: schema.deferred.properties,
    Progress: withoutId,
    Damage: schema.verified.properties.components.items.properties.damaged.items.properties,
    UpdateStatus: schema.update_status.properties,
    Past: schema.past.properties,
    Status: schema.status.properties
  }
  for (const [name, properties] of Object.entries(shapes)) {
    const [, body] = text.match(new RegExp(`^export interface ${name} \\{(.*?)^\\}`, 'ms'))
    const fields = [...body.matchAll(/^  (\w+): /gm)].map(([, field]) => field)
    assert.deepStrictEqual(fields.sort(), Object.keys(properties).sort(), name)
  }
  const events = schema.event.oneOf.flatMap(({ properties: { event } }) => event.const ?? event.enum)
  for (const event of events.filter((name) => name !== 'failed')) {
    assert(text.includes(`event: '${event}'`), event)
  }
})

test('the package has the version of the crate', () => {
  const [, version] = readFileSync(join(ROOT, 'bindings/Cargo.toml'), 'utf8').match(/^version = "(.*)"$/m)
  const { optionalDependencies, ...main } = require('patcher/package.json')
  assert.deepStrictEqual([main.version, ...Object.values(optionalDependencies)], [version, version])
})
