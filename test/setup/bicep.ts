/** The Bicep compiler: one command of it, or one process that answers many requests. */
import { spawn, spawnSync } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { findBicep } from './programs.ts'

export const root = path.join(import.meta.dirname, '..', '..')

/**
 * A resource as ARM would receive it. A value that is known only after the deployment is a text that begins with `[`.
 */
export interface PredictedResource {
  readonly id: string
  readonly type: string
  readonly name: string
  readonly apiVersion: string
  readonly location?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly [member: string]: unknown
}

export interface Snapshot {
  readonly predictedResources: readonly PredictedResource[]
  readonly diagnostics: readonly unknown[]
  readonly outputs: Readonly<Record<string, unknown>>
}

interface Diagnostic {
  readonly source: string
  readonly level: string
  readonly code: string
  readonly message: string
}

export interface Compiled {
  readonly template: unknown
  readonly diagnostics: readonly Diagnostic[]
}

export interface Bicep {
  /** Evaluates a parameter file. @throws {Error} with the message of the compiler, or of `fail()` in the template */
  snapshot(parameterFile: string): Promise<Snapshot>
  /** Compiles a template, with the linter. @returns the ARM template, or undefined where there is an error */
  compile(file: string): Promise<Compiled>
  /** The file as the formatter would write it. */
  format(file: string): Promise<string>
  close(): void
}

const bicepPath = findBicep()

/** .ci/run installs the compiler, so in CI a missing compiler is a failure and no reason to skip tests. */
export const skipsWithoutBicep = bicepPath === undefined && process.env.CI === undefined

/**
 * The compiler runs for seconds. Optimising its code again costs a third of its CPU time, and the usual small first
 * generation with a collector beside it costs another seventh.
 */
const runtimeSettings = { DOTNET_TieredPGO: '0', DOTNET_gcConcurrent: '0', DOTNET_GCgen0size: '0x8000000' }

/** Runs one command of the compiler and waits for it. */
export function runBicep(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  if (bicepPath === undefined) throw new Error('There is no Bicep compiler. Run infra/get-bicep.sh')
  const { status, stdout, stderr } = spawnSync(bicepPath, args, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: os.homedir(), ...runtimeSettings, ...env },
  })
  return { status, stdout, stderr }
}

/** Starts one process for all requests: the first costs two seconds, each further one a third of a second. */
export function startBicep(): Bicep {
  if (bicepPath === undefined) throw new Error('There is no Bicep compiler. Run infra/get-bicep.sh')
  const child = spawn(bicepPath, ['jsonrpc', '--stdio'], {
    env: { ...process.env, ...runtimeSettings },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const waiting = new Map<number, (message: RpcMessage) => void>()
  let received = Buffer.alloc(0)
  let id = 0

  child.stdout.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    for (;;) {
      const head = received.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = Number(/Content-Length: (\d+)/i.exec(received.subarray(0, head).toString())?.[1])
      if (received.length < head + 4 + length) return
      const message = JSON.parse(received.subarray(head + 4, head + 4 + length).toString()) as RpcMessage
      received = received.subarray(head + 4 + length)
      waiting.get(message.id)?.(message)
      waiting.delete(message.id)
    }
  })

  const call = (method: string, parameters: object) =>
    new Promise<RpcMessage>((resolve) => {
      id += 1
      waiting.set(id, resolve)
      const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: [parameters] })
      child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
    })

  return {
    snapshot: async (parameterFile) => {
      const { result, error } = await call('bicep/getSnapshot', {
        path: parameterFile,
        metadata: {
          tenantId: 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55',
          subscriptionId: 'aaaaaaaa-1111-4111-8111-111111111111',
          resourceGroup: null,
          location: 'westeurope',
          deploymentName: 'broker',
        },
        externalInputs: [],
      })
      if (result?.snapshot === undefined) throw new Error(error?.message ?? 'no snapshot')
      return JSON.parse(result.snapshot) as Snapshot
    },
    compile: async (file) => {
      const { result, error } = await call('bicep/compile', { path: file })
      if (!result) throw new Error(error?.message ?? 'not compiled')
      const { contents, diagnostics = [] } = result
      return { template: contents === undefined ? undefined : (JSON.parse(contents) as unknown), diagnostics }
    },
    format: async (file) => {
      const { result, error } = await call('bicep/format', { path: file })
      if (result?.contents === undefined) throw new Error(error?.message ?? 'not formatted')
      return result.contents
    },
    close: () => void child.kill(),
  }
}

interface RpcMessage {
  readonly id: number
  readonly result?: {
    readonly snapshot?: string
    readonly contents?: string
    readonly diagnostics?: readonly Diagnostic[]
  }
  readonly error?: { readonly message: string }
}

/** Copies infra/ and the parameter files, so that a test can change them. */
export async function copyInfra(): Promise<{
  readonly folder: string
  parameterFile(name: string): string
  /** Replaces a text in a file of infra/. @throws {Error} if the file does not contain it */
  replace(file: string, text: string | RegExp, by: string): Promise<void>
  /** Restores every file. */
  restore(): Promise<void>
  remove(): Promise<void>
}> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-infra-'))
  const restore = async () => {
    await cp(path.join(root, 'infra'), path.join(folder, 'infra'), { recursive: true })
    const parameters = path.join('test', 'infra', 'snapshots')
    await cp(path.join(root, parameters), path.join(folder, parameters), { recursive: true })
  }
  await restore()
  return {
    folder,
    parameterFile: (name) => path.join(folder, 'test', 'infra', 'snapshots', `${name}.bicepparam`),
    replace: async (file, text, by) => {
      const full = path.join(folder, file)
      const before = await readFile(full, 'utf8')
      const after = before.replace(text, by)
      if (after === before) throw new Error(`${file} has no ${String(text)}`)
      await writeFile(full, after)
    },
    restore,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
