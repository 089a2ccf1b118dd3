/** `npm start` as a person and a program meet it: what it prints, what it refuses, and that it ends whole. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import * as z from 'zod/mini'
import { startConnectProxy } from '../setup/connect-proxy.ts'
import { createPerson } from '../setup/person.ts'

const root = path.join(import.meta.dirname, '../..')
const undo: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

interface Program {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<number | NodeJS.Signals>
}

function run(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}, cwd = root): Program {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...environment }, detached: true })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  const { pid = 0 } = child
  undo.push(async () => {
    // The whole group, should something be left of it.
    if (child.exitCode === null && child.signalCode === null) process.kill(-pid, 'SIGKILL')
    await ended
  })
  return { pid, stdout: () => stdout, stderr: () => stderr, ended }
}

const start = (args: readonly string[], environment?: NodeJS.ProcessEnv) =>
  run(process.execPath, ['local/start.js', ...args], environment)

const readyLine = z.object({
  broker: z.string(),
  identityProvider: z.string(),
  vault: z.string(),
  managedIdentity: z.string(),
  tables: z.string(),
  telemetry: z.string(),
  frontEnds: z.record(z.string(), z.string()),
  api: z.object({ name: z.string(), url: z.string() }),
  people: z.array(z.object({ name: z.string(), username: z.string() })),
  ca: z.string(),
})

async function ready({ stdout, stderr, ended }: Program): Promise<z.infer<typeof readyLine>> {
  while (!stdout().includes('}\n')) {
    const over = await Promise.race([wait(50, false), ended.then(() => true)])
    if (over) throw new Error(`It ended: ${stderr()}`)
  }
  return z.parse(readyLine, JSON.parse(stdout()))
}

async function isTaken(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  const socket = net.connect({ host: hostname, port: Number(port) })
  const answered = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false)
  socket.destroy()
  return answered
}

/** What still runs of its process group. */
const processesOf = ({ pid }: Program) =>
  spawnSync('ps', ['-eo', 'pgid=,stat=,args='], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((row) => Number.parseInt(row) === pid && !/^\s*\d+\s+Z/.test(row))

const addresses = (line: z.infer<typeof readyLine>) => [
  ...[line.broker, line.identityProvider, line.vault, line.managedIdentity, line.tables, line.telemetry, line.api.url],
  ...['demo', 'demo-oauth'].map((id) => line.frontEnds[id] ?? ''),
]

describe('everything on free ports', () => {
  it('prints one line for programs and a card for people, and serves what they name', async () => {
    const program = start(['--port', '0', '--json'])
    const line = await ready(program)

    expect(program.stdout().trim().split('\n')).toHaveLength(1)
    expect(await Promise.all(addresses(line).map(isTaken))).toEqual(Array(9).fill(true))
    expect(await (await fetch(`${line.broker}/health`)).text()).toContain('alive')
    const back = encodeURIComponent(line.frontEnds.demo ?? '')
    const login = await fetch(`${line.broker}/login?frontend=demo&return_url=${back}`, { redirect: 'manual' })
    expect(login.status).toBe(303)
    expect((await fetch(line.api.url)).status).toBe(401)
    expect(await (await fetch(line.telemetry)).text()).toContain('What the broker reports')
    expect(await readFile(line.ca, 'utf8')).toContain('BEGIN CERTIFICATE')
    for (const { username } of line.people) expect(program.stderr()).toContain(username)
    expect(program.stderr()).toMatch(/ready in [\d.]+ s/)
    expect(program.stderr()).toContain(`Open               ${line.frontEnds.demo ?? ''}`)
  })

  it('prints the keys that an operator and a timer need', async () => {
    const program = start(['--port', '0', '--json'])
    const { broker } = await ready(program)
    const keyOf = (name: string) => new RegExp(`${name} +([\\w-]+) `).exec(program.stderr())?.[1] ?? ''
    const detail = (key: string) => fetch(`${broker}/health/detail`, { headers: { 'x-functions-key': key } })
    const sweep = (key: string) =>
      fetch(`${broker}/admin/functions/sweep`, {
        method: 'POST',
        headers: { 'x-functions-key': key, 'content-type': 'application/json' },
        body: '{"input": {}}',
      })

    expect([(await detail(keyOf('Operator key'))).status, (await sweep(keyOf('Master key'))).status]).toEqual([
      200, 202,
    ])
    expect([(await detail('wrong')).status, (await sweep(keyOf('Operator key'))).status]).toEqual([401, 401])
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('ends on %s with code 0, and nothing of it is left', async (signal) => {
    const program = start(['--port', '0', '--json'])
    const line = await ready(program)

    process.kill(program.pid, signal)

    expect(await program.ended).toBe(0)
    expect(await Promise.all(addresses(line).map(isTaken))).toEqual(Array(9).fill(false))
    await expect(readFile(line.ca, 'utf8')).rejects.toThrow('ENOENT')
    await vi.waitFor(() => expect(processesOf(program)).toEqual([]), 5000)
  })

  it('ends when the shell above it is gone, which is all that npm lets it know of a SIGTERM', async () => {
    const program = run('sh', ['-c', `"${process.execPath}" local/start.js --port 0 --json; true`])
    const line = await ready(program)

    process.kill(program.pid, 'SIGTERM')

    await program.ended
    expect(await Promise.all(addresses(line).map(isTaken))).toEqual(Array(9).fill(false))
  })

  it('starts no ingestion where the setting names one elsewhere', async () => {
    const elsewhere = 'https://westeurope-5.in.applicationinsights.azure.com/'
    // Nobody is there to report to it.
    const program = start(['--port', '0', '--json', '--without-broker'], {
      APPLICATIONINSIGHTS_CONNECTION_STRING: `InstrumentationKey=3f1b6c2e-8a4d-4c57-9b0e-d2a7f5e81c90;IngestionEndpoint=${elsewhere}`,
    })
    await vi.waitFor(() => expect(program.stdout()).toContain('}\n'), 20_000)

    expect(JSON.parse(program.stdout())).toMatchObject({ broker: null, telemetry: null })
    expect(program.stderr()).not.toContain('Telemetry')
  })

  it('lets the broker trust whom this machine trusts besides, in the file that it names', async () => {
    const folder = await temporaryFolder()
    const own = path.join(folder, 'company.pem')
    await writeFile(own, '# the company\n')
    const line = await ready(start(['--port', '0', '--json'], { NODE_EXTRA_CA_CERTS: own }))

    expect(await readFile(line.ca, 'utf8')).toMatch(/^-----BEGIN CERTIFICATE-----[^]*\n# the company\n/)
    const health = await fetch(`${line.broker}/health/ready`)
    expect(await health.text()).toContain('ready')
  })
})

describe('a machine behind a proxy', () => {
  it('is ready and signs people in, and nothing on loopback reaches the proxy', async () => {
    const proxy = await startConnectProxy()
    undo.push(() => proxy.close())
    const names = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'https_proxy', 'http_proxy', 'all_proxy']
    const environment = Object.fromEntries(names.map((name) => [name, proxy.url]))
    // As set by a developer who wants Node's own requests proxied.
    const line = await ready(
      start(['--port', '0', '--json'], { ...environment, NODE_USE_ENV_PROXY: '1', NO_PROXY: '' }),
    )

    const person = createPerson(line.broker)
    const back = line.frontEnds.demo ?? ''
    const reply = await person.signIn({ frontend: 'demo', return_url: back })

    expect([reply.status, reply.location]).toEqual([303, back])
    expect((await person.call('/health/ready')).text).toBe('ready')
    expect(proxy.requests).toEqual([])
  })
})

describe('what it refuses', () => {
  const secret = 'jW8Q~this-is-no-real-secret'

  it.each([
    ['a secret', { AzureAd__ClientSecret: secret }, 'AzureAd__ClientSecret'],
    [
      'a secret inside a JSON setting',
      { Broker__FrontEnds: JSON.stringify([{ id: 'a', clientSecret: secret }]) },
      'Broker__FrontEnds',
    ],
    ['an unknown name', { Broker__FrontEnd: '[]' }, 'Broker__FrontEnd'],
  ])('ends with code 2 at %s, and names the setting, not its value', async (_, environment, name) => {
    const program = start(['--port', '0'], environment)

    expect(await program.ended).toBe(2)
    expect(program.stderr()).toContain(`- ${name} `)
    expect(program.stdout() + program.stderr()).not.toContain(secret)
  })

  it.each([
    [['--port', 'x'], '--port takes a number'],
    [['--prot', '0'], 'Known are --port N, --json'],
  ])('says which arguments it takes, at %j', async (args, sentence) => {
    const program = start(args)

    expect(await program.ended).toBe(1)
    expect(program.stderr()).toContain(sentence)
  })
})

describe('a half-installed tree', () => {
  it.each([
    ['a package of a package is missing', ['node', 'express'], 'Not installed, or only half: qs missing. Run: npm ci'],
    ['several are', ['node'], 'Not installed, or only half: express and 1 more missing. Run: npm ci'],
    [
      'the installation was interrupted',
      undefined,
      'Not installed, or only half: node and 1 more missing. Run: npm ci',
    ],
  ])('is a sentence where %s', async (_, there, sentence) => {
    const { stderr, ended } = await tree(there)

    expect(await ended).toBe(2)
    expect(stderr().trim()).toBe(sentence)
  })

  it('starts where all of it is there', async () => {
    const { stdout, stderr, ended } = await tree(['node', 'express', 'qs'])

    expect(await ended, stderr()).toBe(0)
    expect(stdout()).toBe('it runs\n')
  })

  /** A project of which these packages are there; npm never came to its end where there are none. */
  async function tree(packages: readonly string[] | undefined): Promise<Program> {
    const folder = await temporaryFolder()
    await mkdir(path.join(folder, 'local'))
    await cp(path.join(root, 'local/start.js'), path.join(folder, 'local/start.js'))
    await writeFile(path.join(folder, 'local/run.ts'), `export const run = () => console.log('it runs')`)
    const project = { type: 'module', dependencies: { node: '24' }, devDependencies: { express: '5' } }
    await writeFile(path.join(folder, 'package.json'), JSON.stringify(project))
    for (const name of packages ?? []) {
      await mkdir(path.join(folder, 'node_modules', name, 'bin'), { recursive: true })
      await writeFile(path.join(folder, 'node_modules', name, 'package.json'), '{}')
    }
    if (packages) {
      const names = ['node', 'express', 'qs'].map((name) => `node_modules/${name}`)
      const lock = { packages: Object.fromEntries(names.map((name) => [name, {}])) }
      await writeFile(path.join(folder, 'node_modules/.package-lock.json'), JSON.stringify(lock))
    }
    return run(process.execPath, ['local/start.js'], {}, folder)
  }
})

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-start-'))
  undo.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}
