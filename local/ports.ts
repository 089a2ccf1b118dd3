/** Ports of the local parts. `local.settings.example.json` names the same ports, so that a copy of it works. */
export interface Ports {
  readonly broker: number
  readonly identityProvider: number
  readonly vault: number
  readonly managedIdentity: number
  readonly graph: number
  readonly demoFrontEnd: number
  readonly demoApi: number
  readonly demoOtherSite: number
  readonly ingestion: number
  readonly blob: number
  readonly queue: number
  readonly table: number
}

export const fixedPorts: Ports = {
  broker: 7071,
  identityProvider: 7171,
  vault: 7172,
  managedIdentity: 7173,
  graph: 7174,
  demoFrontEnd: 7175,
  demoApi: 7176,
  demoOtherSite: 7177,
  ingestion: 7178,
  blob: 10000,
  queue: 10001,
  table: 10002,
}

/** Every part selects a free port. */
export const freePorts: Ports = {
  broker: 0,
  identityProvider: 0,
  vault: 0,
  managedIdentity: 0,
  graph: 0,
  demoFrontEnd: 0,
  demoApi: 0,
  demoOtherSite: 0,
  ingestion: 0,
  blob: 0,
  queue: 0,
  table: 0,
}
