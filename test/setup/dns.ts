/** A name server on loopback: answers CNAME and TXT questions with one record each. RFC 1035 §4. */
import { createSocket } from 'node:dgram'

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
    const type = question.readUInt16BE(at + 1)
    const value = records.get(labels.join('.'))
    const isCname = type === 5
    const data =
      value === undefined || (isCname ? labels[0] === 'asuid' : labels[0] !== 'asuid')
        ? undefined
        : isCname
          ? Buffer.concat([...value.split('.').map(labelled), Buffer.from([0])])
          : labelled(value)
    const header = Buffer.from(question.subarray(0, 12))
    header.writeUInt16BE(data ? 0x8180 : 0x8183, 2)
    header.writeUInt16BE(data ? 1 : 0, 6)
    header.writeUInt32BE(0, 8)
    const answer = Buffer.alloc(data ? 12 : 0)
    if (data) {
      answer.writeUInt16BE(0xc00c, 0)
      answer.writeUInt16BE(type, 2)
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
