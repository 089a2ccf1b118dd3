/** The context of a hook: every dependency on the outside, so that a test can run a hook in its own process. */
import type { TokenCredential } from '@azure/identity'
import type { AzdEnvironment } from './azd.ts'
import type { Cloud } from './cloud.ts'
import type { Report } from './report.ts'

export interface Clock {
  now(): number
  wait(milliseconds: number): Promise<void>
}

export interface HookContext {
  readonly environment: AzdEnvironment
  /** Variables of the machine: a shell, or a pipeline. Nothing in them is trusted. */
  readonly machine: Readonly<Record<string, string | undefined>>
  /** Root of the project, where infra/environments/ is. */
  readonly projectFolder: string
  readonly cloud: Cloud
  /** The sign-in of the person or pipeline that deploys. */
  readonly credential: TokenCredential
  readonly clock: Clock
  readonly report: Report
  /** Asks the person a question; undefined where no person can answer. */
  readonly ask: ((question: string) => Promise<string>) | undefined
}

/** The subscription as the first part of an ARM path. */
export function subscriptionPath({ environment }: Pick<HookContext, 'environment'>): string {
  return `/subscriptions/${environment.get('AZURE_SUBSCRIPTION_ID') ?? ''}`
}

/** True where a pipeline runs the hook. A variable that a pipeline does not know arrives as an empty text. */
export function isPipeline({ machine }: Pick<HookContext, 'machine'>): boolean {
  return ['CI', 'GITHUB_ACTIONS', 'TF_BUILD'].some((name) => machine[name]?.toLowerCase() === 'true')
}
