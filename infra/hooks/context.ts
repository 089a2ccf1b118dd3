/** The context of a hook: every dependency on the outside, so that a test can run a hook in its own process. */
import type { TokenCredential } from '@azure/identity'
import type { AzdEnvironment } from './azd.ts'
import type { Clock } from './clock.ts'
import type { Cloud } from './cloud.ts'
import type { Names } from './names.ts'
import type { Report } from './report.ts'

export interface HookContext {
  readonly environment: AzdEnvironment
  /** Root of the project, where infra/environments/ is. */
  readonly projectFolder: string
  readonly cloud: Cloud
  /** The sign-in of the person or pipeline that deploys. */
  readonly credential: TokenCredential
  readonly clock: Clock
  readonly report: Report
  /** Prompts the person; undefined where no person can answer. */
  readonly ask: ((question: string) => Promise<string>) | undefined
}

/** The subscription as the first part of an ARM path. */
export function subscriptionPath({ environment }: Pick<HookContext, 'environment'>): string {
  return `/subscriptions/${environment.get('AZURE_SUBSCRIPTION_ID') ?? ''}`
}

/** The resource group of the environment as the first part of an ARM path. */
export function groupPath(
  context: Pick<HookContext, 'environment'>,
  { resourceGroup }: Pick<Names, 'resourceGroup'>,
): string {
  return `${subscriptionPath(context)}/resourceGroups/${resourceGroup}`
}

/**
 * True where a service principal deploys. The token shows it; variables such as CI do not, because some people have
 * them in their shells, and some pipelines lack them.
 */
export async function isPipeline({ cloud }: Pick<HookContext, 'cloud'>): Promise<boolean> {
  return (await cloud.principal()).type === 'ServicePrincipal'
}
