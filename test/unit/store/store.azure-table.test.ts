import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { createAzureTableStore } from '../../../shared/store/azure-table/store.azure-table.ts'
import { startTableProxy } from '../../setup/table-proxy.ts'
import { describeStore } from './store-contract.ts'

describeStore('the store on Azure Table Storage', async () => {
  const tablePrefix = `u${randomBytes(5).toString('hex')}`
  const proxy = await startTableProxy(inject('tableServiceUri'), tablePrefix)
  const connect = () =>
    createAzureTableStore({
      tableServiceUri: proxy.url,
      tablePrefix,
      credential: () => Promise.reject(new Error('not asked for on loopback')),
    })

  return {
    store: connect(),
    other: connect(),
    loseNextAnswer: (operation) => proxy.addFault({ operation, times: 1, loseAnswer: true }),
    breakDown: (how) => proxy.addFault(how),
    heal: () => proxy.clearFaults(),
    close: () => proxy.close(),
  }
})
