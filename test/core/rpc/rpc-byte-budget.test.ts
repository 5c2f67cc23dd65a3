import { describe, expect, it } from 'vitest';
import { ByteBudget, ByteLoan } from '../../../core/rpc/rpc-byte-budget.ts';

describe('ByteLoan', () => {
  it('borrows and gives back', () => {
    const budget = new ByteBudget(100);
    const loan = new ByteLoan(budget);
    loan.take(60);
    loan.give(20);
    expect(budget.heldBytes).toBe(40);
    loan.close();
    expect(budget.heldBytes).toBe(0);
  });

  it('takes nothing when there is not enough', () => {
    const budget = new ByteBudget(100);
    new ByteLoan(budget).take(60);
    expect(() => new ByteLoan(budget).take(41)).toThrow(
      expect.objectContaining({
        code: 8,
        message: 'Buffer a request: calls hold 60 bytes of messages, the limit is 100',
      }),
    );
    expect(budget.heldBytes).toBe(60);
  });

  it('gives back no more than it took, and takes nothing once it is closed', () => {
    const budget = new ByteBudget(100);
    new ByteLoan(budget).take(10);
    const loan = new ByteLoan(budget);
    loan.take(5);
    loan.give(50);
    expect(budget.heldBytes).toBe(10);
    loan.close();
    loan.take(50);
    loan.close();
    expect(budget.heldBytes).toBe(10);
  });
});

describe('ByteLoan, reserving', () => {
  it('takes what was reserved first, and gives the rest back', () => {
    const budget = new ByteBudget(100);
    const loan = new ByteLoan(budget);
    loan.reserve(60);
    loan.take(40);
    expect(budget.heldBytes).toBe(60);
    loan.take(30);
    expect(budget.heldBytes).toBe(70);
    loan.unreserve();
    expect(budget.heldBytes).toBe(70);
    loan.reserve(20);
    loan.close();
    expect(budget.heldBytes).toBe(0);
  });

  it('refuses to reserve more than there is', () => {
    const loan = new ByteLoan(new ByteBudget(100));
    expect(() => loan.reserve(101)).toThrow(
      'Buffer a request: calls hold 0 bytes of messages, the limit is 100',
    );
  });
});
