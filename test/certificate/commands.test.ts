import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { localDefaults } from '../../local/local-defaults.ts'
import { bundledProgram } from '../setup/bundled-programs.ts'
import type { Stack } from '../setup/stack.ts'
import * as rolling from './rolling.ts'

const { certificateName, runRoll, until, versionsAt } = rolling
/** The answer of /health/detail can be a few seconds old. */
const signs = (stack: Stack, version: string) =>
  until(
    () => versionsAt(stack.brokers[0]!),
    (versions) => versions[version]?.status === 'accepted' && versions[version].signs,
  )
const root = path.join(import.meta.dirname, '../..')

async function run(program: string, args: readonly string[], env: Readonly<Record<string, string | undefined>> = {}) {
  const { PATH, NODE_COMPILE_CACHE } = process.env
  const child = spawn(process.execPath, [program, ...args], { cwd: root, env: { PATH, NODE_COMPILE_CACHE, ...env } })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

describe('npm run certificate', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await rolling.startRollingStack()
    await runRoll(stack.brokers[0]!)
  })
  afterAll(() => stack.close())

  const certificate = async (...args: string[]) => command(await bundledProgram('certificate'), args)
  const command = (program: string, args: readonly string[], settings: Readonly<Record<string, string>> = {}) =>
    run(program, args, {
      ...localDefaults,
      ...stack.cloud.settings,
      ...rolling.quickly,
      Broker__TableServiceUri: stack.store.url,
      Broker__TablePrefix: stack.tablePrefix,
      ...settings,
    })
  const first = () => stack.vault.publicCertificates(certificateName)[0]!
  interface Foreseen {
    readonly begins: string
    readonly steps: readonly { readonly step: string; readonly version?: string; readonly expected?: string }[]
  }
  const dryRun = async (...args: string[]) => {
    const { code, stdout, stderr } = await certificate('roll', '--dry-run', '--json', ...args)
    expect([code, stderr]).toEqual([0, ''])
    return JSON.parse(stdout) as Foreseen
  }

  it('status --json prints one line: the version that signs, its end, and the next step', async () => {
    // This runs the sources, as npm does.
    const { code, stdout, stderr } = await command('tools/certificate/certificate.ts', ['status', '--json'])

    expect([code, stderr]).toEqual([0, ''])
    const { versions, next } = JSON.parse(stdout) as { versions: Record<string, unknown>[]; next: string }
    expect(versions).toEqual([
      {
        version: first().version,
        signs: true,
        enabled: true,
        notBefore: expect.any(String) as string,
        expires: expect.any(String) as string,
        daysLeft: expect.any(Number) as number,
        provider: 'accepted',
        addedByBroker: false,
      },
    ])
    expect(next).toBe('nothing to do')
  })

  it('status shows each provider of the list, whose state the broker may not have stored yet', async () => {
    const partner = { id: 'partner', kind: 'openid', name: 'Partner', authority: 'https://login.partner.example' }
    const adfs = {
      id: 'works',
      kind: 'adfs',
      name: 'Works',
      authority: 'https://fs.works.example/adfs',
      clientId: 'at-works',
    }
    const Broker__Providers = JSON.stringify([{ ...partner, clientId: 'contoso-broker' }, adfs])
    const program = await bundledProgram('certificate')

    const { code, stdout, stderr } = await command(program, ['status', '--json'], { Broker__Providers })
    const drawn = await command(program, ['status'], { Broker__Providers })

    expect([code, stderr]).toEqual([0, ''])
    const { versions, providers } = JSON.parse(stdout) as Record<'versions' | 'providers', Record<string, unknown>[]>
    expect(versions).toMatchObject([{ provider: 'accepted' }])
    expect(providers).toMatchObject([
      {
        id: 'partner',
        versions: [{ version: first().version, provider: 'unknown' }],
        problem: 'the broker has not stored a state yet',
      },
      { id: 'works' },
    ])
    const [, atPartner, atWorks] = drawn.stdout.split('The same certificate at the provider ')
    expect(atPartner).toMatch(/^partner\n[^]*\/registered\?provider=partner with the header/)
    expect(atWorks).toMatch(/^works\n[^]*-TargetIdentifier at-works `[^]*\/registered\?provider=works with the header/)
  })

  it('roll --dry-run shows the steps at each provider of the list: by Graph, and by hand', async () => {
    const partner = { id: 'partner', kind: 'openid', name: 'Partner', authority: 'https://login.partner.example' }
    const { AzureAd__Instance: instance, Broker__GraphUrl: graphUrl } = stack.cloud.settings
    const registered = { tenantId: randomUUID(), clientId: randomUUID(), applicationObjectId: randomUUID() }
    const subsidiary = { id: 'subsidiary', kind: 'entra', name: 'Subsidiary', instance, graphUrl, ...registered }
    const Broker__Providers = JSON.stringify([{ ...partner, clientId: 'contoso-broker' }, subsidiary])
    const program = await bundledProgram('certificate')

    const { code, stdout, stderr } = await command(program, ['roll', '--dry-run', '--json', '--now'], {
      Broker__Providers,
    })
    const drawn = await command(program, ['roll', '--dry-run', '--now'], { Broker__Providers })

    expect([code, stderr]).toEqual([0, ''])
    const { steps, providers } = JSON.parse(stdout) as Foreseen & { providers: (Foreseen & { id: string })[] }
    const kinds = (of: Foreseen) => of.steps.map(({ step, version }) => `${step} ${version ?? ''}`.trim())
    expect(kinds({ begins: '', steps })).toContain('register new')
    expect(providers.map(({ id }) => id)).toEqual(['partner', 'subsidiary'])
    expect(kinds(providers[0]!)).not.toContain('register new')
    expect(providers[0]!.steps.at(-1)?.expected ?? '').toMatch(/^accepted/)
    expect(kinds(providers[1]!).at(-1)).toMatch(/^probe /)
    expect(drawn.stdout).toMatch(/At the provider partner:[^]*At the provider subsidiary:/)
  })

  it('status reads the hosts of Broker__AdditionalHosts, and refuses a host that neither list has', async () => {
    const instance = 'https://login.newcloud.example/'
    const subsidiary = { id: 'subsidiary', kind: 'entra', name: 'Subsidiary', instance, clientId: randomUUID() }
    const Broker__Providers = JSON.stringify([{ ...subsidiary, tenantId: randomUUID() }])
    const program = await bundledProgram('certificate')

    const added = await command(program, ['status', '--json'], {
      Broker__Providers,
      Broker__AdditionalHosts: 'login.newcloud.example',
    })
    const unknown = await command(program, ['status', '--json'], { Broker__Providers })

    expect([added.code, added.stderr]).toEqual([0, ''])
    expect((JSON.parse(added.stdout) as { providers: unknown }).providers).toMatchObject([{ id: 'subsidiary' }])
    expect([unknown.code, unknown.stdout]).toEqual([2, ''])
    expect(unknown.stderr).toContain('.instance is not a login host of an Azure cloud')
  })

  it('status prints the same for a person', async () => {
    const drawn = await certificate('status')
    expect(drawn.code).toBe(0)
    expect(drawn.stdout).toContain(`> ${first().version}`)
    expect(drawn.stdout).toContain('Next: nothing to do.')
  })

  it('roll --dry-run shows the steps of the next version if no step is due, and writes nothing', async () => {
    stack.store.resetRequests()
    stack.vault.resetRequests()
    stack.graph.resetRequests()
    stack.identityProvider.resetRequests()

    const { begins, steps } = await dryRun()

    expect(begins).toBe('with a new version')
    expect(steps.map(({ step, version }) => `${step} ${version ?? ''}`.trim())).toEqual([
      ...['probe new', 'register new', 'probe new', 'wait', 'probe new'],
    ])
    expect(stack.vault.publicCertificates(certificateName)).toHaveLength(1)
    expect(stack.store.requests.filter(({ operation }) => ['insert', 'replace', 'remove'].includes(operation))).toEqual(
      [],
    )
    expect(stack.vault.requests.filter(({ operation }) => operation === 'sign')).toEqual([])
    expect([stack.graph.requests, stack.identityProvider.requests]).toEqual([[], []])
  })

  it('roll --now --dry-run does the same, and creates no version; roll without an option prints an explanation', async () => {
    expect((await dryRun('--now')).begins).toBe('with a new version')
    const said = await certificate('roll', '--now', '--dry-run')
    expect(said.stdout).toContain('The vault would create a new version')
    expect(stack.vault.publicCertificates(certificateName)).toHaveLength(1)

    const alone = await certificate('roll')
    expect([alone.code, alone.stderr]).toEqual([2, expect.stringContaining('--dry-run') as string])
  })

  it.each([
    [['rol', '--now'], 'There is no command rol: create, status or roll.'],
    [['create', '--dry-run'], 'create has no option --dry-run.'],
    [['roll', '--now', '--validity-months', '6'], 'roll has no option --validity-months.'],
    [['status', '--change'], 'status has no option --change.'],
  ])('refuses %j, which would have no effect, before it looks for a vault', async (args, sentence) => {
    const { code, stdout, stderr } = await run(await bundledProgram('certificate'), args)

    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(`${sentence} For usage, run: npm run certificate -- --help`)
  })

  it('status prints versions and no instruction to register one, if the store cannot be read', async () => {
    const program = await bundledProgram('certificate')
    const settings = { Broker__ApplicationObjectId: '' }

    const silent = await command(program, ['status'], { ...settings, Broker__TableServiceUri: 'http://127.0.0.1:9/a' })
    const unnamed = await command(program, ['status'], { ...settings, Broker__TableServiceUri: '' })
    const read = await command(program, ['status'], settings)

    expect([silent.code, silent.stderr]).toEqual([0, ''])
    expect(silent.stdout).toMatch(/unknown: the store or the key ring cannot be read \(store_unavailable.*ECONNREFUSED/)
    expect(unnamed.stdout).toContain('unknown: set Broker__TableServiceUri')
    for (const { stdout } of [silent, unnamed, read]) {
      expect(stdout).toContain(first().version)
      expect(stdout).not.toContain('by hand')
    }
  })

  it.each([
    [{ Broker__TableServiceUri: 'https://store.example.com' }, 'Broker__TableServiceUri is not a table service'],
    [{ Broker__TableServiceUri: 'nonsense' }, 'Broker__TableServiceUri is not a URL'],
    [{ Broker__CertificateReadSeconds: 'soon' }, 'Broker__CertificateReadSeconds is not a whole number of seconds'],
  ])('status refuses %j by its name, and sends no token', async (settings, sentence) => {
    const { code, stdout, stderr } = await command(await bundledProgram('certificate'), ['status'], settings)

    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(sentence)
  })

  it.each([
    [['status', '--name', 'other'], 'has no certificate other. Write another --name, or run: npm run certificate --'],
    [['roll', '--dry-run', '--name', 'other'], 'has no certificate other.'],
    [['roll', '--now', '--vault', 'https://localhost:9'], 'The local vault does not answer'],
    [
      ['status', '--vault', 'https://localhost:9'],
      'does not answer (vault_unavailable: vault answered ECONNREFUSED). Run npm start',
    ],
  ])('%j ends with a sentence about the vault', async (args, sentence) => {
    const { code, stdout, stderr } = await certificate(...args)

    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain(sentence)
    expect(stderr).not.toMatch(/Error\b/)
  })

  it('roll --dry-run shows the steps of a run if the vault has created a version', async () => {
    const next = await stack.vault.renewCertificate(certificateName)
    const { begins, steps } = await dryRun()
    expect(begins).toBe('now')
    const foreseen = steps.filter(({ step }) => step !== 'wait').map(({ step, version }) => `${step} ${version ?? ''}`)

    await runRoll(stack.brokers[0]!)

    await signs(stack, next.version)
    const done = rolling
      .logged(stack, 'certificate step')
      .map(({ step, certificateVersion }) => `${String(step).split(':')[0] ?? ''} ${String(certificateVersion)}`)
      .filter((line) => line.endsWith(next.version))
    expect(foreseen).toEqual(done)
  })

  it('roll --now makes the vault create a version, and the next run of the broker switches to it', async () => {
    const before = stack.vault.publicCertificates(certificateName)
    const { code, stdout } = await certificate('roll', '--now', '--json')

    expect(code).toBe(0)
    const made = stack.vault.publicCertificates(certificateName)
    expect(made).toHaveLength(before.length + 1)
    const { version } = made.find((one) => !before.some((known) => known.version === one.version))!
    expect(JSON.parse(stdout)).toEqual({ name: certificateName, version })
    await runRoll(stack.brokers[0]!)
    await signs(stack, version)
  })
})

describe('npm run roll', () => {
  it('refuses an argument: a rehearsal could pass for a roll of the certificate in a vault', async () => {
    const { code, stdout, stderr } = await run('tools/certificate/rehearse-roll.ts', ['--now'])

    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('npm run certificate -- roll --now')
  })

  it('rehearses two rolls while people sign in, prints each step, and exits with 0 if no sign-in failed', async () => {
    const { code, stdout, stderr } = await run('tools/certificate/rehearse-roll.ts', [])

    expect(code, stderr + stdout).toBe(0)
    const order = [
      'Starting the identity provider',
      'it was registered at deployment',
      'People sign in',
      'and Event Grid sent the event',
      'the provider does not accept it yet',
      'added to the application through Graph',
      'signs from now on',
      'The switch is done',
      'removed from the application',
      'At the application are 2 keys',
      'none failed',
    ].map((step) => stdout.indexOf(step))
    expect(order).not.toContain(-1)
    expect(order).toEqual([...order].sort((a, b) => a - b))
  }, 300_000)
})
