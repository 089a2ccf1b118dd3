/**
 * azd, as far as a deployment depends on it, in the process of the test. It behaves as the source of azd 1.31 does:
 *
 * - Its environment is a .env file with the name; subscription and location come from the prompts of `azd up`, and in
 *   `azd provision` after the project's hooks. It stores neither AZURE_TENANT_ID nor AZURE_PRINCIPAL_TYPE.
 * - A hook gets the variables of the machine and those of the file, and the file is read again after each hook.
 * - Hooks of the project run around the command, hooks of a service around package and deploy of that service, in the
 *   folder of the service. `azd provision --preview` runs no hook.
 * - main.bicepparam is compiled with the file's variables; a value that is not there may come from the machine.
 * - A provisioning whose template and parameters are those of the last successful deployment is skipped, while its
 *   resource group exists; `--no-state` deploys it nevertheless.
 * - Outputs become variables, and `azd down` deletes the variables of those names.
 */
import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import type { TokenCredential } from '@azure/identity'
import { parse } from 'yaml'
import { createAzdEnvironment } from '../../infra/hooks/azd.ts'
import { createCloud } from '../../infra/hooks/cloud.ts'
import type { Cloud } from '../../infra/hooks/cloud.ts'
import type { Clock } from '../../infra/hooks/clock.ts'
import { createReport } from '../../infra/hooks/report.ts'
import { runHook } from '../../infra/hooks/run.ts'
import { anna, subscriptionId } from './azure.ts'
import type { Azure, Deployer } from './azure.ts'
import { root } from './bicep.ts'
import { deleteGroup, deployTemplate, hostIdentityPrincipalId, outputNames } from './template.ts'
import type { TemplateParameters } from './template.ts'

interface HookConfig {
  readonly posix: { readonly run: string; readonly interactive?: boolean }
}
type Hooks = Readonly<Record<string, HookConfig>>
interface AzureYaml {
  readonly hooks: Hooks
  readonly services: Readonly<
    Record<
      string,
      { readonly project: string; readonly dist?: string; readonly language: string; readonly hooks?: Hooks }
    >
  >
  readonly workflows: { readonly up: { readonly steps: readonly { readonly azd: string }[] } }
}
const azureYaml = parse(readFileSync(path.join(root, 'azure.yaml'), 'utf8')) as AzureYaml

interface Run {
  readonly code: number
  readonly output: string
}

/** The answers of the person to azd's prompts. */
interface Answers {
  readonly subscription?: string
  readonly location?: string
}

export interface WorkplaceOptions {
  readonly azure: Azure
  readonly environmentName?: string
  readonly deployer?: Deployer
  /** Variables of the shell or the pipeline. */
  readonly machine?: Readonly<Record<string, string>>
  readonly answers?: Answers
  readonly clock?: TestClock
  /** Scripts of package.json, by name; they work in the folder of the workplace. */
  readonly scripts?: Readonly<Record<string, (folder: string) => Promise<void>>>
}

/** A clock whose waits return at once and move the time. */
interface TestClock extends Clock {
  advance(milliseconds: number): void
  readonly waited: number
}

function createTestClock(): TestClock {
  let now = Date.now()
  let waited = 0
  return {
    now: () => now,
    wait: (milliseconds) => {
      now += milliseconds
      waited += milliseconds
      return Promise.resolve()
    },
    advance: (milliseconds) => {
      now += milliseconds
    },
    get waited() {
      return waited
    },
  }
}

/** A clone of the project on the machine of a person or a pipeline, with azd. */
export interface Workplace {
  readonly folder: string
  readonly clock: TestClock
  /** The file of the environment; undefined where there is none. */
  configuration(): Promise<Record<string, unknown> | undefined>
  /** Writes members of the file; undefined removes one. */
  configure(members: Readonly<Record<string, unknown>>): Promise<void>
  /** Variables of the azd environment. */
  readonly variables: ReadonlyMap<string, string>
  azd(...args: readonly string[]): Promise<Run>
  /** Runs one hook as a command. */
  hook(name: string): Promise<Run>
  /** Every hook and script that ran, in order. */
  readonly ran: readonly string[]
  /** The packages that were uploaded: text by file name. */
  readonly uploads: readonly Readonly<Record<string, string>>[]
  /** Ends the next commands after so many writes in azd's environment, at Graph and Resource Manager. */
  interruptAfter(writes: number | undefined): void
  /** Lets one step of azd's own fail once: provision, package or upload. */
  failOnce(step: 'provision' | 'package' | 'upload'): void
  /** A clone on another machine: the committed files, without the .azure folder. */
  clone(options: Omit<WorkplaceOptions, 'azure' | 'clock'>): Promise<Workplace>
  remove(): Promise<void>
}

export async function createWorkplace(options: WorkplaceOptions): Promise<Workplace> {
  const { azure, environmentName = 'shop-test', deployer = anna, machine = {}, clock = createTestClock() } = options
  const answers = options.answers ?? { subscription: subscriptionId, location: 'westeurope' }
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-workplace-'))
  const scripts: Readonly<Record<string, (folder: string) => Promise<void>>> = options.scripts ?? markedScripts
  const file = path.join(folder, 'infra', 'environments', `${environmentName}.json`)
  const ran: string[] = []
  const uploads: Record<string, string>[] = []
  const failing = new Set<string>()
  let writesLeft: number | undefined
  let variables = new Map([['AZURE_ENV_NAME', environmentName]])

  /** Through the file, as azd stores it. */
  const store = (name: string, value: string) => {
    variables = parseDotenv(marshalDotenv(new Map([...variables, [name, value]])))
  }
  const look = (name: string) => variables.get(name) ?? machine[name] ?? ''

  const countWrite = () => {
    if (writesLeft !== undefined && writesLeft-- <= 0) throw new Error('the process was killed')
  }
  const alive = () => {
    if (writesLeft !== undefined && writesLeft < 0) throw new Error('the process was killed')
  }
  const credential: TokenCredential = {
    getToken: async (scopes) => {
      alive()
      const audience = String(Array.isArray(scopes) ? scopes[0] : scopes).replace('/.default', '')
      const { token, expiresOn } = await azure.issuer.issueAccessToken({ ...deployer, audience })
      return { token, expiresOnTimestamp: expiresOn * 1000 }
    },
  }
  const interruptible = (cloud: Cloud): Cloud => {
    const guard =
      (call: Cloud['arm']): Cloud['arm'] =>
      async (target, request) => {
        if ((request?.method ?? 'GET') === 'GET') alive()
        else countWrite()
        return call(target, request)
      }
    return {
      principal: () => cloud.principal(),
      arm: guard((target, request) => cloud.arm(target, request)),
      graph: guard((target, request) => cloud.graph(target, request)),
    }
  }

  const runInProcess = async (name: string, print: (text: string) => void): Promise<number> => {
    const environment = createAzdEnvironment(Object.fromEntries(variables), machine, (variable, value) => {
      countWrite()
      store(variable, value)
      return Promise.resolve()
    })
    const addresses = new Map([
      ['BROKER_LOCAL_ARM', azure.arm.url],
      ['BROKER_LOCAL_GRAPH', azure.graph.url],
    ])
    return runHook(
      name,
      {
        environment,
        projectFolder: folder,
        cloud: interruptible(
          createCloud(
            { get: (variable) => addresses.get(variable) ?? environment.get(variable) },
            { credential, clock },
          ),
        ),
        credential,
        clock,
        report: createReport(print),
        ask: undefined,
      },
      print,
    )
  }

  /** @throws when the hook stops, as azd does */
  const runHooks = async (hooks: Hooks, name: string, cwd: string, print: (text: string) => void) => {
    const hook = hooks[name]
    if (!hook) return
    if (!existsSync(cwd)) throw new Error(`chdir ${cwd}: no such file or directory`)
    const [, started] = /^node infra\/hooks\/start\.mjs (\w+)$/.exec(hook.posix.run) ?? []
    ran.push(started ?? hook.posix.run)
    if (started !== undefined) {
      if ((await runInProcess(started, print)) !== 0) throw new Error(`'${name}' hook failed with exit code: '1'`)
      return
    }
    const [, script = ''] = /^npm run (\w+)$/.exec(hook.posix.run) ?? []
    const work = scripts[script]
    if (!work) throw new Error(`npm error Missing script: "${script}"`)
    await work(folder)
  }

  const prompt = () => {
    for (const [variable, answer] of [
      ['AZURE_SUBSCRIPTION_ID', answers.subscription],
      ['AZURE_LOCATION', answers.location],
    ] as const) {
      if (look(variable) !== '') continue
      if (answer === undefined) throw new Error(`prompting for ${variable}: --no-prompt`)
      store(variable, answer)
    }
  }

  const fail = (step: string) => {
    if (failing.delete(step)) throw new Error(`azd: the step ${step} failed`)
  }

  const provision = (args: readonly string[], print: (text: string) => void) => {
    prompt()
    // azd compiles main.bicepparam with the variables of the file, which bicep sees beside those of the machine.
    const stored = look('BROKER_PARAMETERS')
    const given = JSON.parse(
      stored === '' ? '{}' : Buffer.from(stored, 'base64').toString(),
    ) as Partial<TemplateParameters>
    const parameters: TemplateParameters = {
      principalId: look('AZURE_PRINCIPAL_ID') || deployer.principalId,
      ...given,
      environmentName: look('AZURE_ENV_NAME'),
      location: look('AZURE_LOCATION'),
    }
    const { deployments } = azure.arm.state
    const wanted = JSON.stringify(parameters)
    const last = deployments.get(environmentName)
    const isSkipped =
      last?.parameters === wanted && azure.arm.state.resources.has(last.group) && !args.includes('--no-state')
    if (!isSkipped) {
      deployments.delete(environmentName)
      fail('provision')
    }
    const outputs = isSkipped ? last.outputs : deployTemplate(azure, parameters, clock.now())
    const group = `/subscriptions/${subscriptionId}/resourceGroups/${outputs['AZURE_RESOURCE_GROUP'] ?? ''}`
    deployments.set(environmentName, { parameters: wanted, outputs, group })
    for (const [name, value] of Object.entries(outputs)) store(name, value)
    print(isSkipped ? 'There are no changes to provision.' : 'Your application was provisioned in Azure')
  }

  const service = azureYaml.services['broker']
  if (!service) throw new Error('azure.yaml has no service broker')
  const serviceFolder = path.join(folder, service.project)

  const packageService = async (print: (text: string) => void) => {
    // The framework of the language js installs in the folder of the service before any hook of package.
    if (!existsSync(serviceFolder)) throw new Error(`npm install: chdir ${serviceFolder}: no such file or directory`)
    await runHooks(service.hooks ?? {}, 'prepackage', serviceFolder, print)
    fail('package')
    ran.push('npm run build')
    await scripts['build']?.(folder)
    const output = path.join(serviceFolder, service.dist ?? '')
    const entries = existsSync(output) ? await readdir(output, { recursive: true, withFileTypes: true }) : []
    const names = entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(output, path.join(entry.parentPath, entry.name)))
    if (names.length === 0) throw new Error(`package source '${output}' is empty or does not exist`)
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await readFile(path.join(output, name), 'utf8')] as const)),
    )
  }

  const site = () => {
    const token = Buffer.from(look('BROKER_PARAMETERS'), 'base64').toString()
    const { resourceToken = '' } = JSON.parse(token === '' ? '{}' : token) as { resourceToken?: string }
    const group = `/subscriptions/${subscriptionId}/resourceGroups/${look('AZURE_RESOURCE_GROUP')}/providers`
    return {
      id: `${group}/Microsoft.Web/sites/func-broker-${resourceToken}`,
      account: `${group}/Microsoft.Storage/storageAccounts/stpkg${resourceToken}`,
    }
  }

  const upload = (content: Record<string, string>) => {
    const { id, account } = site()
    if (!azure.arm.state.resources.has(id))
      throw new Error("unable to find a resource tagged with 'azd-service-name: broker'")
    const created = azure.arm.state.roleAssignments
      .get(account)
      ?.find(({ principalId }) => principalId === hostIdentityPrincipalId)?.createdOn
    // Role assignments spread in minutes.
    if (created === undefined || clock.now() - Date.parse(created) < 120_000) throw new Error('upload: 403 Forbidden')
    fail('upload')
    uploads.push(content)
    azure.arm.state.unlisted.set(id, ['certificateEvent', 'health'])
  }

  const command = async (args: readonly string[], print: (text: string) => void): Promise<void> => {
    const [name = '', ...rest] = args
    if (name === 'env' && rest[0] === 'set') {
      store(rest[1] ?? '', rest[2] ?? '')
      return
    }
    if (name === 'up') {
      prompt()
      for (const { azd: step } of azureYaml.workflows.up.steps) await command(step.split(' '), print)
      return
    }
    if (name === 'provision' && rest.includes('--preview')) {
      prompt()
      print('This is a preview. No changes will be applied to your Azure resources.')
      return
    }
    await runHooks(azureYaml.hooks, `pre${name}`, folder, print)
    if (name === 'provision') provision(rest, print)
    else if (name === 'package') await packageService(print)
    else if (name === 'deploy') {
      if (look('AZURE_SUBSCRIPTION_ID') === '') throw new Error('infrastructure has not been provisioned')
      const given = rest.indexOf('--from-package')
      upload(given < 0 ? await packageService(print) : { package: rest[given + 1] ?? '' })
    } else if (name === 'down') {
      prompt()
      deleteGroup(azure, look('AZURE_RESOURCE_GROUP') || `rg-${environmentName}`)
      azure.arm.state.deployments.delete(environmentName)
      for (const output of outputNames) variables.delete(output)
    } else throw new Error(`azd: unknown command ${name}`)
    await runHooks(azureYaml.hooks, `post${name}`, folder, print)
  }

  const capture = async (work: (print: (text: string) => void) => Promise<number>): Promise<Run> => {
    const lines: string[] = []
    const print = (text: string) => void lines.push(text)
    const code = await work(print).catch((error: unknown) => {
      print(`ERROR: ${(error as Error).message}`)
      return 1
    })
    return { code, output: lines.join('\n') }
  }

  return {
    folder,
    clock,
    get variables() {
      return variables
    },
    ran,
    uploads,
    configuration: async () =>
      existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>) : undefined,
    configure: async (members) => {
      await mkdir(path.dirname(file), { recursive: true })
      const present = existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as object) : {}
      await writeFile(file, JSON.stringify({ ...present, ...members }, null, 2))
    },
    azd: (...args) =>
      capture(async (print) => {
        await command(args, print)
        return 0
      }),
    hook: (name) => capture((print) => runInProcess(name, print)),
    interruptAfter: (writes) => {
      writesLeft = writes
    },
    failOnce: (step) => void failing.add(step),
    clone: async (others) => {
      const copy = await createWorkplace({ environmentName, ...others, azure, clock })
      // Git has no empty folder: without a committed file the folder is missing.
      if (existsSync(path.join(folder, 'infra'))) {
        await cp(path.join(folder, 'infra'), path.join(copy.folder, 'infra'), { recursive: true })
      }
      return copy
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** In place of the scripts of package.json, for tests that are not about the build itself. */
const markedScripts = {
  clean: (folder: string) => rm(path.join(folder, 'dist'), { recursive: true, force: true }),
  build: async (folder: string) => {
    await mkdir(path.join(folder, 'dist'), { recursive: true })
    await writeFile(path.join(folder, 'dist', 'index.mjs'), 'production build')
  },
}

/**
 * As azd writes a file: whole numbers without quotation marks; quotes, backslashes, $, ! and backticks get a backslash.
 */
export function marshalDotenv(values: ReadonlyMap<string, string>): string {
  return [...values]
    .map(([name, value]) => {
      if (String(Number(value)) === value && Number.isInteger(Number(value))) return `${name}=${value}`
      return `${name}="${value.replace(/[\\"!$`]/g, String.raw`\$&`).replaceAll('\n', String.raw`\n`)}"`
    })
    .sort()
    .join('\n')
}

/** As godotenv reads it. */
export function parseDotenv(text: string): Map<string, string> {
  return new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const [, name, value] = /^(\w+)="(.*)"$/.exec(line) ?? /^(\w+)=(-?\d+)$/.exec(line) ?? []
      if (name === undefined || value === undefined) return []
      return [[name, value.replaceAll(String.raw`\n`, '\n').replace(/\\(.)/g, '$1')]]
    }),
  )
}
