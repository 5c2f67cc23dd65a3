import { describe } from 'vitest';
import { InProcessMessageBus } from '../../../core/bus/in-process-message-bus.ts';
import type { OpenBuses } from './bus-pair.ts';
import { messageBusContract } from './message-bus-contract.ts';
import { messageBusEdgeContract } from './message-bus-edge-contract.ts';

describe('InProcessMessageBus', () => {
  const open: OpenBuses = async (logger) => {
    const bus = new InProcessMessageBus({ logger });
    return { client: bus, server: bus };
  };
  messageBusContract(open);
  messageBusEdgeContract(open);
});
