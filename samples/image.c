// SPDX-License-Identifier: GPL-2.0
/* Reading the initial memory of a TD from a file: see image.h. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "td.h"

#define FOUR_GIB	(1ULL << 32)

/* A file, mapped. */
struct file {
	const char *data;
	__u64 size;
};

static int fail(const char **error, int err, const char *text)
{
	*error = text;
	errno = err;
	return -1;
}

static int add_part(struct image *image, __u64 gpa, const void *data, __u64 size, __u64 memory, const char **error)
{
	struct image_part *part = &image->part[image->nr];
	__u64 start = gpa / TD_PAGE_SIZE * TD_PAGE_SIZE;

	if (image->nr == IMAGE_PARTS)
		return fail(error, E2BIG, "it has too many segments");
	if (gpa + memory < gpa || gpa + memory > FOUR_GIB)
		return fail(error, EFBIG, "it reaches beyond 4 GiB");
	part->gpa = start;
	part->pages = (gpa + memory - start + TD_PAGE_SIZE - 1) / TD_PAGE_SIZE;
	part->data = mmap(NULL, part->pages * TD_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (part->data == MAP_FAILED)
		return fail(error, ENOMEM, "there is no memory for it");
	memcpy((char *)part->data + (gpa - start), data, size);
	image->nr++;
	return 0;
}

static int load_elf(struct image *image, const struct file *file, const char **error)
{
	const Elf64_Ehdr *header = (const void *)file->data;
	const Elf64_Phdr *segments;

	if (file->size < sizeof(*header) || header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 ||
	    header->e_phentsize != sizeof(*segments))
		return fail(error, ENOEXEC, "it is no ELF file for x86-64");
	if (header->e_phoff > file->size || header->e_phnum > (file->size - header->e_phoff) / sizeof(*segments))
		return fail(error, ENOEXEC, "its program headers are not in it");

	segments = (const void *)(file->data + header->e_phoff);
	for (int i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *segment = &segments[i];

		if (segment->p_type != PT_LOAD || !segment->p_memsz)
			continue;
		if (segment->p_offset > file->size || segment->p_filesz > file->size - segment->p_offset ||
		    segment->p_filesz > segment->p_memsz)
			return fail(error, ENOEXEC, "a segment is not in it");
		if (add_part(image, segment->p_paddr, file->data + segment->p_offset, segment->p_filesz, segment->p_memsz, error))
			return -1;
	}
	return image->nr ? 0 : fail(error, ENOEXEC, "it has no segment to load");
}

/* Like firmware: the end of the file is at 4G. */
static int load_flat(struct image *image, const struct file *file, const char **error)
{
	if (file->size >= FOUR_GIB)
		return fail(error, EFBIG, "it is larger than 4 GiB");
	return add_part(image, FOUR_GIB - file->size, file->data, file->size, file->size, error);
}

int image_load(const char *path, struct image *image, const char **error)
{
	struct file file = { };
	struct stat st;
	void *data;
	int fd, ret;

	*image = (struct image) { };
	*error = "it cannot be read";
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st)) {
		close(fd);
		return -1;
	}
	if (!st.st_size) {
		close(fd);
		return fail(error, EINVAL, "it is empty");
	}
	data = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (data == MAP_FAILED)
		return -1;

	file.data = data;
	file.size = st.st_size;
	if (file.size >= SELFMAG && !memcmp(file.data, ELFMAG, SELFMAG))
		ret = load_elf(image, &file, error);
	else
		ret = load_flat(image, &file, error);
	munmap(data, st.st_size);
	if (ret)
		image_free(image);
	return ret;
}

void image_free(struct image *image)
{
	int err = errno;

	for (int i = 0; i < image->nr; i++)
		munmap(image->part[i].data, image->part[i].pages * TD_PAGE_SIZE);
	image->nr = 0;
	errno = err;
}
