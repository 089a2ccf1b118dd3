/** The sign-in of the person or pipeline that deploys: that of azd, or of az where azd has none. */
import { AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential } from '@azure/identity'
import type { TokenCredential } from '@azure/identity'

/** azd first: its deployments and the hooks must run as the same person. */
export function createDeployerCredential(): TokenCredential {
  return new ChainedTokenCredential(new AzureDeveloperCliCredential(), new AzureCliCredential())
}
