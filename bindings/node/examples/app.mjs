// A program in Node that keeps itself up to date: app.mjs of the component `app`.
import { Patcher } from 'patcher'

const KEY = `
-----BEGIN PUBLIC KEY-----
…
-----END PUBLIC KEY-----
` // the public half of the publisher's key
const VERSION = '1'

try {
  const app = Patcher.forProgram('app', { keys: [KEY] })
  const { started } = await app.start()
  console.log(VERSION, started) // the program's own work
  if (process.argv.includes(VERSION)) process.exit(7) // fails its probation: the version before comes back
  await app.confirm() // this version works; without this call the old one comes back
  await app.update() // downloads a newer version, and restarts as it
} catch (error) {
  console.error('no updates:', error.message) // an error never has to end the program
}
