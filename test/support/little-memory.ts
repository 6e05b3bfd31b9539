/* Loaded into a process before its own code (node --import): little memory is available to it. */

process.availableMemory = () => 2 ** 20
