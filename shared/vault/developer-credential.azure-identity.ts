/** The sign-in of a developer on a laptop, by `az` or `azd`. */
import { AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential } from '@azure/identity'
import type { TokenCredential } from '@azure/core-auth'

export function createDeveloperCredential(): TokenCredential {
  return new ChainedTokenCredential(new AzureCliCredential(), new AzureDeveloperCliCredential())
}
