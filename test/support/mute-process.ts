process.on('message', () => undefined)
process.once('disconnect', () => process.exit())
