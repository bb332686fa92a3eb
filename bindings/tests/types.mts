// A program in TypeScript that uses the whole package. The tests compile it, and do not run it.
import {
  Patcher, PatcherError, NetworkError, type Applied, type Damage, type Past, type Started, type Status, type Update
} from 'patcher'

const app = new Patcher('/opt/app', {
  keys: ['key'],
  headers: [{ origin: 'https://example.com', name: 'Authorization', value: 'secret' }],
  components: { addon: '/opt/addon' },
  rateLimit: 500_000,
  stateDir: '/var/lib/app'
})
const started: Started = await app.start()
if (started.started === 'rolled-back') console.log(started.reason)
if (started.started === 'updates-off') console.log(started.why)

const stop = new AbortController()
const found = await app.check({ components: ['app'], signal: stop.signal })
const sizes: number[] = found.updates.map((update: Update) => update.bytes)
const reasons: string[] = found.deferred.map((deferred) => deferred.why)
const staged = await app.download(found, {
  onProgress: ({ bytes, bytes_total: total, seconds_left: left }) => console.log(bytes / total, left ?? '?'),
  signal: stop.signal
})
const applied: Applied = await staged.apply()
const damaged: Damage[] = await app.verify('app')
const status: Status = await app.status()
const history: Past[] = await app.history()
const left: string[] = await app.remove('addon')
const wasOnProbation: boolean = await app.confirm()
console.log(sizes, reasons, applied, damaged, status, history, left, wasOnProbation)

const watcher = app.watch({ mode: 'notify', interval: 3600 })
watcher.on('update-available', ({ updates }) => console.log(updates[0]?.version))
watcher.on('download-progress', ({ rate }) => console.log(rate))
watcher.on('error', (error) => console.log(error.code, error instanceof NetworkError))
watcher.checkNow()
await watcher.stop()

try {
  await (await app.staged())?.restart()
} catch (error) {
  if (error instanceof PatcherError && error.retryable) console.log(error.exit)
}

// @ts-expect-error: the publisher's keys are needed
new Patcher('/opt/app', {})
// @ts-expect-error: a watcher has three modes
app.watch({ mode: 'apply' })
// @ts-expect-error: only a check makes updates
await app.download({ updates: [], deferred: [] })
// @ts-expect-error: an event has no such field
watcher.on('update-available', ({ version }) => console.log(version))
