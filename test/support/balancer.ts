/** A request as a load balancer logged it. */
export interface Logged {
  id: string
  /** The server that answered, or was asked last. */
  server: string
  status: number
  retries: number
}

/** A load balancer with its configuration of deploy/, on the host of this name. */
export interface Balancer {
  port: number
  /** Whether its checks find a server up, or down; a server may be neither. */
  isUp(server: string): Promise<boolean>
  isDown(server: string): Promise<boolean>
  /** How often a request was sent to another server, by its own statistics. */
  resent(): Promise<number>
  logged(): Logged[]
}
