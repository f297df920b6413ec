/*
 * context_aarch64.S - see context.h.
 *
 * A saved stack, from its stack pointer up: x19 .. x28, x29, x30, d8 .. d15. Leaving is by br and not
 * by ret, whose prediction would be wrong.
 */
	.text

	.globl	context_swap
	.hidden	context_swap
	.type	context_swap, %function
	.p2align 4
context_swap:
	.cfi_startproc
	sub	sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp	x19, x20, [sp, #0]
	.cfi_rel_offset x19, 0
	.cfi_rel_offset x20, 8
	stp	x21, x22, [sp, #16]
	.cfi_rel_offset x21, 16
	.cfi_rel_offset x22, 24
	stp	x23, x24, [sp, #32]
	.cfi_rel_offset x23, 32
	.cfi_rel_offset x24, 40
	stp	x25, x26, [sp, #48]
	.cfi_rel_offset x25, 48
	.cfi_rel_offset x26, 56
	stp	x27, x28, [sp, #64]
	.cfi_rel_offset x27, 64
	.cfi_rel_offset x28, 72
	stp	x29, x30, [sp, #80]
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	.cfi_def_cfa_offset 0
	mov	x16, x30
	br	x16
	.cfi_endproc
	.size	context_swap, .-context_swap

	.globl	context_begin
	.hidden	context_begin
	.type	context_begin, %function
	.p2align 4
context_begin:
	.cfi_startproc
	.cfi_undefined x30
	mov	x0, x19
	mov	x29, xzr
	mov	x30, xzr
	bl	goroutine_main
	bl	goroutine_end
	brk	#1
	.cfi_endproc
	.size	context_begin, .-context_begin

	.section .note.GNU-stack, "", %progbits
