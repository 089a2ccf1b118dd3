/** Azurite, Microsoft's own emulator of Azure Storage, as child processes that end with this one. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import path from 'node:path'
import { freePort, LocalError } from './http-server.ts'

export type StorageService = 'blob' | 'queue' | 'table'

export interface StorageEmulator {
  readonly service: StorageService
  readonly port: number
  /** With the emulator's account, as a service URI setting needs it. */
  readonly url: string
  close(): Promise<void>
}

const account = 'devstoreaccount1'
/** The emulator's published account key: it is no secret, since every Azurite uses it. */
export const storageEmulatorKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
/** Ends the child when this process has ended for any reason. */
const endWithParent = 'data:text/javascript,process.on("disconnect",()=>process.exit());process.channel?.unref()'

/**
 * Starts one service, all of it in memory.
 *
 * @param port 0 selects a free one
 * @throws {LocalError} when the port is in use
 */
export async function startStorageEmulator(service: StorageService, port: number): Promise<StorageEmulator> {
  if (port !== 0) return startOn(service, port)
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOn(service, await freePort())
    } catch (error) {
      // Another program may bind a free port before Azurite does.
      if (attempt === 3) throw error
    }
  }
}

async function startOn(service: StorageService, chosen: number): Promise<StorageEmulator> {
  const main = path.join(
    path.dirname(createRequire(import.meta.url).resolve('azurite/package.json')),
    'dist/src',
    service,
    'main.js',
  )
  const child = spawn(
    process.execPath,
    [
      ...[
        '--import',
        endWithParent,
        main,
        '--inMemoryPersistence',
        '--silent',
        '--skipApiVersionCheck',
        '--disableTelemetry',
      ],
      ...[`--${service}Host`, '127.0.0.1', `--${service}Port`, String(chosen)],
    ],
    { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: { ...process.env, NODE_OPTIONS: '' } },
  )
  await started(child, service, chosen)
  return {
    service,
    port: chosen,
    url: `http://127.0.0.1:${chosen}/${account}`,
    close: async () => {
      const ended = once(child, 'exit')
      if (child.exitCode === null && child.signalCode === null) {
        child.disconnect() // all of it is in memory, and a graceful end waits for idle connections
        await ended
      }
    },
  }
}

async function started(child: ChildProcess, service: StorageService, port: number): Promise<void> {
  let said = ''
  await new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      said += chunk.toString()
      if (said.includes('successfully')) resolve()
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.once('exit', () => {
      const sentence = said.includes('EADDRINUSE')
        ? `Port ${port} for Azurite's ${service} service is in use. End the program that listens there (perhaps another Azurite, or an earlier npm start), or run: npm start -- --port 0`
        : `Azurite's ${service} service ended before it was ready: ${said.trim()}`
      reject(new LocalError(sentence))
    })
  })
}
