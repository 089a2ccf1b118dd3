import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'

const shutdown = pathToFileURL(path.join(import.meta.dirname, '../../../local/shutdown.ts')).href

it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  'a program of the laptop ends in its own time on %s',
  async (signal) => {
    const program = `
    import { onShutdown } from ${JSON.stringify(shutdown)}
    onShutdown(() => setTimeout(() => { console.log('ended'); process.exit(0) }, 1))
    setInterval(() => undefined, 1000)
    console.log('ready')`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 2] })
    let stdout = ''
    const isReady = new Promise<void>((resolve) => {
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        stdout += text
        resolve()
      })
    })
    const closed = once(child, 'close')

    await isReady
    child.kill(signal)

    expect(await closed).toEqual([0, null])
    expect(stdout).toBe('ready\nended\n')
  },
)

it('a program of the laptop ends in its own time when the reader of its output has ended', async () => {
  const program = `
    import { onShutdown } from ${JSON.stringify(shutdown)}
    onShutdown(() => setTimeout(() => process.exit(0), 1))
    setInterval(() => process.stderr.write('a line of the log\\n'), 1)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 2, 'pipe'] })
  const closed = once(child, 'close')

  await once(child.stderr!, 'data')
  child.stderr!.destroy()

  expect(await closed).toEqual([0, null])
})
