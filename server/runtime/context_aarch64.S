/* context_aarch64.S - see context.h. */
	.text

	.globl	context_begin
	.hidden	context_begin
	.type	context_begin, %function
	.p2align 4
context_begin:
	.cfi_startproc
	.cfi_undefined x30
	mov	x0, sp
	mov	x29, xzr
	mov	x30, xzr
	bl	goroutine_main
	bl	goroutine_end
	brk	#1
	.cfi_endproc
	.size	context_begin, .-context_begin

	.section .note.GNU-stack, "", %progbits
