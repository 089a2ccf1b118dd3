/**
 * A worker that waits without an app, as Azure keeps them, and is then given one: it has loaded a bare function before,
 * so its own code and Node's are warm. The parent's channel names the app's folder; the answer is the CPU time until
 * the app's functions are registered.
 */
import { loadBundle } from '../../local/functions-host/load-bundle.ts'

export interface Specialised {
  /** Microseconds of user and system time. */
  readonly cpu: number
  readonly functions: number
}

const [warm = ''] = process.argv.slice(2)
const write = ({ message }: { readonly message: string }) => void process.stderr.write(`${message}\n`)
await loadBundle(warm, process.env, write)

process.once('message', (dist: string) => {
  const before = process.cpuUsage()
  void loadBundle(dist, process.env, write).then(({ functions }) => {
    const { user, system } = process.cpuUsage(before)
    process.send?.({ cpu: user + system, functions: functions.length } satisfies Specialised)
  })
})
process.on('disconnect', () => process.exit())
process.stdout.write('{}\n')
