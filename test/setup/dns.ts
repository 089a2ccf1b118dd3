/** A name server on loopback: answers each question with at most one record. RFC 1035 §4, RFC 8659 §4.1. */
import { createSocket } from 'node:dgram'

/** Types of records, and the data of one by its text. CAA: the property `issue` with this value. */
const types: Readonly<Record<number, { readonly name: string; readonly data: (text: string) => Buffer }>> = {
  5: { name: 'CNAME', data: (text) => Buffer.concat([...text.split('.').map(labelled), Buffer.from([0])]) },
  16: { name: 'TXT', data: labelled },
  257: { name: 'CAA', data: (text) => Buffer.concat([Buffer.from([0]), labelled('issue'), Buffer.from(text)]) },
}

/** @param records texts by type and name: `CNAME signin.example.com`; may be changed at any time */
export async function startDns(records: ReadonlyMap<string, string>) {
  const socket = createSocket('udp4')
  socket.on('message', (question, { port, address }) => {
    const labels: string[] = []
    let at = 12
    for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
      labels.push(question.subarray(at + 1, at + 1 + length).toString())
      at += 1 + length
    }
    const end = at + 5
    const code = question.readUInt16BE(at + 1)
    const type = types[code]
    const value = records.get(`${type?.name ?? ''} ${labels.join('.')}`)
    const data = value === undefined ? undefined : type?.data(value)
    const header = Buffer.from(question.subarray(0, 12))
    header.writeUInt16BE(data ? 0x8180 : 0x8183, 2)
    header.writeUInt16BE(data ? 1 : 0, 6)
    header.writeUInt32BE(0, 8)
    const answer = Buffer.alloc(data ? 12 : 0)
    if (data) {
      answer.writeUInt16BE(0xc00c, 0)
      answer.writeUInt16BE(code, 2)
      answer.writeUInt16BE(1, 4)
      answer.writeUInt32BE(60, 6)
      answer.writeUInt16BE(data.length, 10)
    }
    socket.send(Buffer.concat([header, question.subarray(12, end), answer, data ?? Buffer.alloc(0)]), port, address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return { address: `127.0.0.1:${socket.address().port}`, close: () => void socket.close() }
}

function labelled(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
}
