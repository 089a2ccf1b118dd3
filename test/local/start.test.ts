/** `npm start`, for a person and for a program: its output, the arguments and settings that it rejects, and its end. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import * as z from 'zod/mini'
import { fixedPorts } from '../../local/ports.ts'
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
  readonly isRunning: () => boolean
}

function run(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Program {
  const child = spawn(command, args, { cwd: root, env: { ...process.env, ...environment }, detached: true })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  const { pid = 0 } = child
  const isRunning = () => child.exitCode === null && child.signalCode === null
  return { pid, stdout: () => stdout, stderr: () => stderr, ended, isRunning }
}

/** Kills the remaining processes of its group. */
async function end({ pid, ended, isRunning }: Program): Promise<void> {
  if (isRunning()) process.kill(-pid, 'SIGKILL')
  await ended
}

/** Starts the program, and ends it after the test. */
function start(args: readonly string[], environment?: NodeJS.ProcessEnv): Program {
  const program = run(process.execPath, ['local/start.js', ...args], environment)
  undo.push(() => end(program))
  return program
}

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

/** The processes of its group that still run. */
const processesOf = ({ pid }: Program) =>
  spawnSync('ps', ['-eo', 'pgid=,stat=,args='], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((row) => Number.parseInt(row) === pid && !/^\s*\d+\s+Z/.test(row))

const addresses = (line: z.infer<typeof readyLine>) => [
  ...[line.broker, line.identityProvider, line.vault, line.managedIdentity, line.tables, line.telemetry, line.api.url],
  ...['demo', 'demo-oauth'].map((id) => line.frontEnds[id] ?? ''),
]

const isOver = async (line: z.infer<typeof readyLine>, program: Program) => {
  expect(await Promise.all(addresses(line).map(isTaken))).toEqual(Array(9).fill(false))
  await expect(readFile(line.ca, 'utf8')).rejects.toThrow('ENOENT')
  await vi.waitFor(() => expect(processesOf(program)).toEqual([]), 60_000)
}

describe('everything on free ports, on a machine with a proxy and an authority of a company', () => {
  let folder: string
  let proxy: Awaited<ReturnType<typeof startConnectProxy>>
  let program: Program
  let line: z.infer<typeof readyLine>
  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'broker-start-'))
    await writeFile(path.join(folder, 'company.pem'), '# the company\n')
    proxy = await startConnectProxy()
    const names = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'https_proxy', 'http_proxy', 'all_proxy']
    // Under a shell, as npm runs it.
    program = run('sh', ['-c', `"${process.execPath}" local/start.js --port 0 --json; true`], {
      NODE_EXTRA_CA_CERTS: path.join(folder, 'company.pem'),
      // A developer sets this so that Node's own requests use the proxy.
      ...Object.fromEntries(names.map((name) => [name, proxy.url])),
      NODE_USE_ENV_PROXY: '1',
      NO_PROXY: '',
    })
    line = await ready(program)
  })
  afterAll(async () => {
    await end(program)
    await proxy.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('prints one line for programs and a summary for people, and serves the addresses in them', async () => {
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
    expect(program.stderr()).not.toContain('not in Broker__FrontEnds')
  })

  it('prints the keys that an operator and a timer need', async () => {
    const { broker } = line
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

  it('makes the broker trust also the certificate authorities of the machine, in the file that it names', async () => {
    expect(await readFile(line.ca, 'utf8')).toMatch(/^-----BEGIN CERTIFICATE-----[^]*\n# the company\n/)
    expect(await (await fetch(`${line.broker}/health/ready`)).text()).toContain('ready')
  })

  it('signs people in, and no request to loopback reaches the proxy', async () => {
    const person = createPerson(line.broker)
    const back = line.frontEnds.demo ?? ''
    const reply = await person.signIn({ frontend: 'demo', return_url: back })

    expect([reply.status, reply.location]).toEqual([303, back])
    expect((await person.call('/health/ready')).text).toBe('ready')
    expect(proxy.requests).toEqual([])
  })

  it('ends when its parent shell has ended, since npm passes SIGTERM only to the shell, and leaves no process and no file', async () => {
    process.kill(program.pid, 'SIGTERM')

    await program.ended
    await isOver(line, program)
  })
})

describe('a provider dressed as AD FS', () => {
  it('replaces the other dress by two settings: a person signs in, and the API accepts the token', async () => {
    // Without the settings of Entra ID in a local.settings.json that npm run start:func copied from the example.
    const ofEntra = ['AzureAd__Instance', 'AzureAd__TenantId', 'Broker__ApplicationObjectId', 'Broker__GraphUrl']
    const program = start(['--port', '0', '--json'], {
      ...Object.fromEntries(ofEntra.map((name) => [name, ''])),
      Broker__Authority: 'https://localhost:7171/adfs',
      Broker__ProviderKind: 'adfs',
    })
    const line = await ready(program)
    const person = createPerson(line.broker)
    const back = line.frontEnds.demo ?? ''

    expect((await person.signIn({ frontend: 'demo', return_url: back })).location).toBe(back)

    expect(line.identityProvider).toMatch(/^https:\/\/localhost:\d+\/adfs$/)
    const page = { id: 'demo', origin: new URL(back).origin }
    const { json } = await person.sessionToken(page, { api: line.api.name })
    const requested = await fetch(line.api.url, { headers: { authorization: `Bearer ${String(json.access_token)}` } })
    expect(requested.status, await requested.text()).toBe(200)
    process.kill(program.pid, 'SIGTERM')
    expect(await program.ended).toBe(0)
  })
})

describe('the parts without the broker', () => {
  it('start no ingestion endpoint if the setting names another one, name a demo that is not registered, and end on SIGTERM with code 0', async () => {
    const spa = { id: 'spa', origins: ['http://localhost:5173'], apis: [] }
    const elsewhere = 'https://westeurope-5.in.applicationinsights.azure.com/'
    // Without a broker, no part reports to it.
    const program = start(['--port', '0', '--json', '--without-broker'], {
      Broker__FrontEnds: JSON.stringify([spa]),
      APPLICATIONINSIGHTS_CONNECTION_STRING: `InstrumentationKey=3f1b6c2e-8a4d-4c57-9b0e-d2a7f5e81c90;IngestionEndpoint=${elsewhere}`,
    })
    await vi.waitFor(() => expect(program.stdout()).toContain('}\n'), 60_000)

    expect(JSON.parse(program.stdout())).toMatchObject({ broker: null, telemetry: null })
    expect(program.stderr()).not.toContain('Telemetry')
    expect(program.stderr().match(/^ {2}Demo.* \(not in Broker__FrontEnds/gm)).toHaveLength(2)
    process.kill(program.pid, 'SIGTERM')
    expect(await program.ended).toBe(0)
    await vi.waitFor(() => expect(processesOf(program)).toEqual([]), 60_000)
  })
})

describe('npm start with wrong input', () => {
  const secret = 'jW8Q~this-is-no-real-secret'

  it('ends with code 2 at secrets and at an unknown name, and names the settings, not their values', async () => {
    const environment = {
      AzureAd__ClientSecret: secret,
      Broker__FrontEnds: JSON.stringify([{ id: 'a', clientSecret: secret }]),
      Broker__FrontEnd: '[]',
    }
    const program = start(['--port', '0'], environment)

    expect(await program.ended).toBe(2)
    for (const name of Object.keys(environment)) expect(program.stderr()).toContain(`- ${name} `)
    expect(program.stdout() + program.stderr()).not.toContain(secret)
  })

  it('ends with code 2 at a base URL that is none, and names it', async () => {
    const program = start([], { Broker__BaseUrl: 'localhost' })

    expect(await program.ended).toBe(2)
    expect(program.stderr()).toContain('- Broker__BaseUrl is not a URL')
    expect(program.stderr()).not.toContain('TypeError')
  })

  it('ends with the message of a system error, and no stack', async () => {
    const program = start(['--port', '0'], { TMPDIR: '/no/such/folder' })

    expect(await program.ended).toBe(1)
    expect(program.stderr()).toMatch(/^ENOENT: .*\/no\/such\/folder.*\. Set TMPDIR .*\n$/)
  })

  it('ends with one sentence at a port in use, also while it builds, and keeps the file of the parts that have it', async () => {
    const caFile = path.join(root, '.local/ca.pem')
    const kept = await readFile(caFile, 'utf8').catch(() => undefined)
    const other = net.createServer()
    // Another program may have it already.
    const listening = new Promise((done) => other.once('listening', done).once('error', done))
    other.listen(fixedPorts.managedIdentity, '127.0.0.1')
    undo.push(() => new Promise((done) => other.close(done)))
    await listening

    const program = start([])

    expect(await program.ended).toBe(1)
    expect(program.stderr()).toMatch(/^Port \d+ for .* is in use\. End the program that listens there.*\n$/)
    expect(await readFile(caFile, 'utf8').catch(() => undefined)).toBe(kept)
  })

  it.each([
    [['--prot', '0'], 1, 'Known are --port N, --json'],
    [['--help'], 0, 'npm start -- [--port N]'],
  ])('prints the accepted arguments, at %j', async (args, code, sentence) => {
    const program = start(args)

    expect(await program.ended).toBe(code)
    expect(program.stdout() + program.stderr()).toContain(sentence)
  })
})
