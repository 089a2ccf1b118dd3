/** The sign-in of the person or pipeline that deploys: that of azd, or of az where azd has none. */
import { AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential } from '@azure/identity'
import type { TokenCredential } from '@azure/identity'

/** azd first: what it deploys and what the hooks do must be done by one and the same person. */
export function createDeployerCredential(): TokenCredential {
  return new ChainedTokenCredential(new AzureDeveloperCliCredential(), new AzureCliCredential())
}
