/*
 * context_x86_64.S - see context.h.
 *
 * A saved stack, from its stack pointer up: r15 r14 r13 r12 rbx rbp, return address.
 * Leaving is by jmp and not by ret: the processor's return stack knows nothing of the stack we go to,
 * and a wrong guess costs 6 ns.
 */
	.text

	.globl	context_swap
	.hidden	context_swap
	.type	context_swap, @function
	.p2align 4
context_swap:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r15, 0
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rcx
	jmp	*%rcx
	.cfi_endproc
	.size	context_swap, .-context_swap

	.globl	context_begin
	.hidden	context_begin
	.type	context_begin, @function
	.p2align 4
context_begin:
	.cfi_startproc
	.cfi_undefined rip
	movq	%r15, %rdi
	pushq	$0
	.cfi_adjust_cfa_offset 8
	call	goroutine_main
	call	goroutine_end
	ud2
	.cfi_endproc
	.size	context_begin, .-context_begin

	.section .note.GNU-stack, "", @progbits
