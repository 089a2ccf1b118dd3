import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import * as esbuild from 'esbuild'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { fixedPorts } from '../../local/ports.ts'
import { root } from '../setup/bicep.ts'

interface Step {
  readonly run?: string
  readonly uses?: string
  readonly with?: Readonly<Record<string, unknown>>
}
interface Job {
  readonly if?: string
  readonly needs?: readonly string[]
  readonly uses?: string
  readonly environment?: string
  readonly permissions?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  readonly steps?: readonly Step[]
}
interface Workflow {
  readonly on: Readonly<Record<string, unknown>>
  readonly permissions: Readonly<Record<string, string>>
  readonly jobs: Readonly<Record<string, Job>>
}

const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const text = read('.github/workflows/azure-dev.yml')
const { permissions, jobs } = parse(text) as Workflow
const ci = parse(read('.github/workflows/ci.yml')) as Workflow
const runsOf = (job: Job | undefined) => (job?.steps ?? []).map(({ run }) => run?.trim() ?? '')

describe('the deploying pipeline', () => {
  it('signs in by a federated identity and reads no secret', () => {
    expect(text).not.toMatch(/secrets\./)
    expect(text).toContain('--federated-credential-provider github')
  })

  it('lets one job request a token, the one that neither builds nor runs install scripts', () => {
    expect(permissions).toEqual({})
    const mayRequest = Object.entries(jobs).filter(([, job]) => job.permissions?.['id-token'] !== undefined)

    expect(mayRequest.map(([name]) => name)).toEqual(['deploy'])
    const runs = runsOf(jobs['deploy'])
    const installs = runs.filter((run) => /^npm (ci|install)/.test(run))
    expect(installs).toEqual(['npm ci --ignore-scripts --omit=dev --omit=optional'])
    expect(runs.join('\n')).not.toMatch(/npm run|azd (up|package)/)
  })

  it('uploads the package of the build job, between two provisionings', () => {
    const npm = runsOf(jobs['build']).filter((run) => run.startsWith('npm'))
    expect(npm).toEqual(['npm ci', 'npm run clean', 'npm run build'])
    const names = ['build', 'deploy'].flatMap((job) =>
      (jobs[job]?.steps ?? []).filter(({ uses = '' }) => /artifact@/.test(uses)).map((step) => step.with?.['name']),
    )
    expect(names).toEqual(['broker', 'broker'])
    expect(runsOf(jobs['deploy']).filter((run) => /^azd (provision|deploy)/.test(run))).toEqual([
      'azd provision --no-prompt',
      'azd deploy broker --from-package broker.zip --no-prompt',
      'azd provision --no-prompt',
    ])
  })

  it('deploys only after CI has passed, and into a protected environment', () => {
    expect(jobs['ci']?.uses).toBe('./.github/workflows/ci.yml')
    expect(jobs['deploy']?.needs).toEqual(['ci', 'build'])
    expect(jobs['deploy']?.environment).toBe('production')
    expect(Object.keys(ci.on)).toEqual(['pull_request', 'workflow_call', 'workflow_dispatch'])
    expect(ci.permissions).toEqual({ contents: 'read' })
    expect(runsOf(ci.jobs['run'])).toContain('bash .ci/run')
  })

  it('names every action by the digest of a commit, and leaves no token in the working tree', () => {
    const steps = [jobs, ci.jobs].flatMap((all) => Object.values(all).flatMap((job) => job.steps ?? []))
    const used = steps.filter(({ uses }) => uses !== undefined)

    expect(used.length).toBeGreaterThan(6)
    for (const { uses } of used) expect(uses).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/)
    for (const { uses, with: inputs } of used) {
      if (uses?.startsWith('actions/checkout')) expect(inputs).toEqual({ 'persist-credentials': false })
    }
  })

  it('passes inputs as variables and never into a script', () => {
    for (const run of Object.values(jobs).flatMap(runsOf)) expect(run).not.toContain('${{')
    for (const name of ['CLIENT_ID', 'TENANT_ID', 'SUBSCRIPTION_ID', 'ENV_NAME', 'LOCATION']) {
      expect(jobs['deploy']?.env).toHaveProperty(`AZURE_${name}`)
    }
    expect(jobs['deploy']?.env?.['BROKER_CONFIRM_REMOVAL']).toBe('${{ inputs.confirm_removal }}')
  })

  it('has every package that the hooks import, without those of development', async () => {
    const { metafile } = await esbuild.build({
      entryPoints: [path.join(root, 'infra/hooks/run.ts')],
      bundle: true,
      write: false,
      metafile: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      logLevel: 'silent',
    })
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
    const imported = Object.values(metafile.inputs)
      .flatMap(({ imports }) => imports)
      .filter(({ external, path: name }) => external === true && !name.startsWith('node:'))
      .map(({ path: name }) => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name)

    expect(imported).not.toEqual([])
    expect([...new Set(imported)].filter((name) => !(name in dependencies))).toEqual([])
  })
})

describe('the development container', () => {
  const container = JSON.parse(read('.devcontainer/devcontainer.json')) as {
    readonly image: string
    readonly features: Readonly<Record<string, object>>
    readonly postCreateCommand: string
    readonly forwardPorts: readonly number[]
    readonly portsAttributes: Readonly<Record<string, { readonly label: string }>>
  }

  it('has azd, az with Bicep, Node 24, the packages, Core Tools and a browser', () => {
    expect(container.image).toMatch(/:24$/)
    expect(container.features).toMatchObject({
      'ghcr.io/azure/azure-dev/azd:0': {},
      'ghcr.io/devcontainers/features/azure-cli:1': { installBicep: true },
    })
    const [, script = ''] = /^bash (\S+)$/.exec(container.postCreateCommand) ?? []
    expect(read(script)).toMatch(/npm ci[\s\S]*azure-functions-core-tools@4[\s\S]*chromium/)
  })

  it('forwards every port of npm start', () => {
    expect([...container.forwardPorts].sort()).toEqual(Object.values(fixedPorts).sort())
    for (const port of Object.values<number>({ ...fixedPorts }))
      expect(container.portsAttributes[port]?.label).toMatch(/\w/)
  })
})

describe('a repository of the azd gallery', () => {
  it.each([
    'azure.yaml',
    'LICENSE',
    'SECURITY.md',
    'CONTRIBUTING.md',
    'CODE_OF_CONDUCT.md',
    '.github/ISSUE_TEMPLATE/bug.yml',
    '.github/ISSUE_TEMPLATE/feature.yml',
    '.github/ISSUE_TEMPLATE/config.yml',
    '.github/pull_request_template.md',
    '.devcontainer/devcontainer.json',
    'infra/main.bicep',
  ])('has %s', (file) => {
    expect(existsSync(path.join(root, file))).toBe(true)
  })

  it('has issue forms that GitHub accepts', () => {
    for (const name of ['bug', 'feature']) {
      const form = parse(read(`.github/ISSUE_TEMPLATE/${name}.yml`)) as {
        readonly name: string
        readonly description: string
        readonly body: readonly { readonly type: string; readonly attributes: { readonly label?: string } }[]
      }
      expect(form.name.length * form.description.length).toBeGreaterThan(0)
      for (const { type, attributes } of form.body) {
        expect(['markdown', 'textarea', 'input', 'dropdown', 'checkboxes']).toContain(type)
        if (type !== 'markdown') expect(attributes.label).toMatch(/\w/)
      }
    }
  })
})
